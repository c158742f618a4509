"""Having a deployment's schedules make runs for a time of one's own."""

from __future__ import annotations

from datetime import datetime, timedelta

from prefect_kernel import errors, web

from ..common.fields import Lenient
from ..schedules.runs import schedule_runs
from .group import group


class Scheduling(Lenient):
    """Body parameters of schedule; `min_time` in seconds."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    min_time: float | None = None
    min_runs: int | None = None
    max_runs: int | None = None


@group.post("/{id:uuid}/schedule", permission="run", body=Scheduling, embed=True, response={"type": "null"})
async def schedule_deployment(request: web.Request, body: Scheduling) -> web.Reply:
    """Insert the runs that the schedules of a deployment want between two moments, each once.

    None is before `start_time` or after `end_time`, and there are `max_runs` at most; they go on until there are
    `min_runs`, and until `min_time` after the start. A deployment that does not exist has no schedules.
    """
    kernel = request.kernel
    try:
        min_time = None if body.min_time is None else timedelta(seconds=body.min_time)
        await kernel.storage.write(
            schedule_runs,
            kernel,
            [request.path["id"]],
            body.start_time,
            body.end_time,
            min_time,
            body.min_runs,
            body.max_runs,
        )
    except (OverflowError, ValueError) as error:  # moments beyond the calendar; a time that is no number
        raise errors.Unprocessable(f"Runs cannot be scheduled for this time: {error}") from None
    return web.json(None)
