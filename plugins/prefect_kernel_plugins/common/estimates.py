"""Members of runs that are not stored: estimates made from a row's raw cells and the present."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from prefect_kernel.sql.types import interval_from_text, timestamp_from_text, timestamp_to_text
from prefect_kernel.transition import TERMINAL_STATES
from prefect_kernel.wire import Derived, number

_text = lru_cache(16)(timestamp_to_text)  # an answer asks with the same moment for each of its rows


def _run_time_sqlite(
    state_type: str | None, total: str, total_text: str, state_timestamp: str | None, now: datetime
) -> str:
    if state_type != "RUNNING" or state_timestamp is None:
        return total_text
    return number((interval_from_text(total) + (now - timestamp_from_text(state_timestamp))).total_seconds())


def _run_time_pg(
    state_type: str | None, total: timedelta, total_text: str, state_timestamp: datetime | None, now: datetime
) -> str:
    if state_type != "RUNNING" or state_timestamp is None:
        return total_text
    return number((total + (now - state_timestamp)).total_seconds())


def _lateness_sqlite(start: str | None, expected: str | None, state_type: str | None, now: datetime) -> str:
    if expected is None or start == expected:
        return "0.0"
    if start is not None:
        if start < expected:
            return "0.0"
        return number((datetime.fromisoformat(start) - datetime.fromisoformat(expected)).total_seconds())
    if state_type in TERMINAL_STATES or expected >= _text(now):
        return "0.0"
    return number((now - timestamp_from_text(expected)).total_seconds())


def _lateness_pg(start: datetime | None, expected: datetime | None, state_type: str | None, now: datetime) -> str:
    if expected is None:
        return "0.0"
    if start is not None:
        return number((start - expected).total_seconds()) if start > expected else "0.0"
    if state_type in TERMINAL_STATES or expected >= now:
        return "0.0"
    return number((now - expected).total_seconds())


ESTIMATED_RUN_TIME = Derived(
    "estimated_run_time",
    ("state_type", "total_run_time", "=total_run_time", "state_timestamp"),
    _run_time_sqlite,
    _run_time_pg,
)
"""total_run_time, plus the time since the last state for a run that is RUNNING."""

ESTIMATED_START_TIME_DELTA = Derived(
    "estimated_start_time_delta", ("start_time", "expected_start_time", "state_type"), _lateness_sqlite, _lateness_pg
)
"""How much later than expected the run started, or how long it has been due."""
