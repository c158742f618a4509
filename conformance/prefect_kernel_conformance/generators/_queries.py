"""Random queries over the data set: filters with sorts, limits, offsets and pages."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Script
from ._filters import filters


def query(s: Script, rng: Random, group: str, others: tuple[str, ...], sorts: tuple[str, ...]) -> None:
    """One random filter, asked as a list, as a page and as a count.

    Sorts that several rows may share leave the order of those to the database, so only sorts over distinct values are
    drawn here (ids are fixed, names and times differ).
    """
    body = filters(rng, group, others)
    how = {"sort": rng.choice(sorts)} if rng.random() < 0.8 else {}
    match rng.choice(["filter", "filter", "paginate", "count"]):
        case "filter":
            s.post(f"/{group}/filter", {**body, **how, **_window(rng, "offset")})
        case "paginate":
            s.post(f"/{group}/paginate", {**body, **how, **_window(rng, "page")})
        case _:
            s.post(f"/{group}/count", body)


def _window(rng: Random, place: str) -> dict[str, Any]:
    window: dict[str, Any] = {}
    if rng.random() < 0.6:
        window["limit"] = rng.choice([0, 1, 2, 3, 7, 20, 200])
    if rng.random() < 0.4:
        window[place] = rng.choice([1, 2, 3, 10]) if place == "page" else rng.choice([0, 1, 5, 30])
    return window


def history(s: Script, rng: Random, group: str, others: tuple[str, ...], start: str, end: str) -> None:
    """A random history: counts by state in intervals."""
    body = filters(rng, group, others)
    interval = rng.choice([600, 3600, 7200.5, 86400, 1000])
    s.post(
        f"/{group}/history",
        {**body, "history_start": start, "history_end": end, "history_interval_seconds": interval},
        tolerance=5,
    )
