"""A search that goes on from where the last one ended finds what a search from the start finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from prefect_kernel_plugins.schedules import runs

RULES = ("FREQ=WEEKLY;BYDAY=MO,TH", "FREQ=DAILY;COUNT=40", "FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=HOURLY;INTERVAL=7")


@pytest.mark.parametrize("rule", RULES)
def test_as_if_it_were_the_first_search(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches of all kinds in turn: each is bounded by its own bounds, not by those of the searches before it."""
    rng = Random(rule)
    schedule = {"rrule": f"DTSTART:20310101T000000\nRRULE:{rule}", "timezone": "Europe/Berlin"}
    known: dict[object, list[datetime]] = {}
    start = datetime(2031, 1, 1, tzinfo=UTC)
    for _ in range(40):
        start += timedelta(hours=rng.choice([-30, 0, 0, 1, 50]))
        bounds = runs.Bounds(
            start=start,
            end=start + timedelta(days=rng.choice([1, 20, 300])),
            min_time=timedelta(hours=rng.choice([0, 1, 200])),
            min_runs=rng.choice([0, 1, 3]),
            max_runs=rng.choice([1, 4, 20]),
        )
        monkeypatch.setattr(runs, "_known", known)
        found = runs._wanted(schedule, bounds)
        monkeypatch.setattr(runs, "_known", {})
        assert found == runs._wanted(schedule, bounds)
