"""Having a deployment's schedules make runs for a time of one's own."""

from __future__ import annotations

from datetime import datetime

from ..common.fields import Lenient


class Scheduling(Lenient):
    """Body parameters of schedule; `min_time` in seconds."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    min_time: float | None = None
    min_runs: int | None = None
    max_runs: int | None = None
