"""Histories of runs: how many were in which state, per interval of time, and how long they took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.filtering import Shape, Subject
from prefect_kernel.sql import Statement, by_dialect
from prefect_kernel.sql.types import SQLITE, Timestamp
from prefect_kernel.transition import STATE_TYPES, TERMINAL_STATES
from prefect_kernel.web import dumps

from .fields import DateTime
from .paging import Filtered

_RANKS = {state_type: rank for rank, state_type in enumerate(STATE_TYPES)}
"""The order of PostgreSQL's enumeration."""

MAX_INTERVALS = 500
"""Later intervals are not answered."""

Row = Sequence[Any]
"""(number of the interval, state type, state name, runs, seconds of run time, seconds of lateness)"""


class HistoryBody(Filtered):
    """Which intervals."""

    history_start: DateTime
    history_end: DateTime
    history_interval_seconds: float


def bounds(body: Any) -> list[datetime]:
    """The ends of the intervals, one more than there are intervals; empty when there is none. Raises Unprocessable."""
    if body.history_interval_seconds < 1:
        raise errors.Unprocessable("History interval must not be less than 1 second.")
    start: datetime = body.history_start
    try:
        interval = timedelta(seconds=body.history_interval_seconds)
        number = min(-((start - body.history_end) // interval), MAX_INTERVALS)
        return [start + i * interval for i in range(number + 1)] if number > 0 else []
    except OverflowError:
        raise errors.Unprocessable("History interval is out of range.") from None


def _by_label(row: Row) -> tuple[Any, ...]:
    return tuple(row[:3])


def _by_rank(row: Row) -> tuple[Any, ...]:
    return row[0], _RANKS[row[1]], row[2]


def to_json(ends: list[datetime], rows: Iterable[Row], dialect: str) -> bytes:
    """The answer: every interval, with the states of the runs in it.

    The reference sorts nothing; these are the orders in which the databases make the groups.
    """
    states: list[list[dict[str, Any]]] = [[] for _ in ends[1:]]
    in_order = sorted(rows, key=_by_label if dialect == SQLITE else _by_rank)
    for interval, state_type, state_name, runs, run_time, lateness in in_order:
        states[interval].append(
            {
                "state_type": state_type,
                "state_name": state_name,
                "count_runs": runs,
                "sum_estimated_run_time": float(run_time),
                "sum_estimated_lateness": float(lateness),
            }
        )
    return dumps(
        [
            {"interval_start": start, "interval_end": end, "states": of_interval}
            for start, end, of_interval in zip(ends, ends[1:], states, strict=False)
        ]
    )


def _param(name: str, type_: Any = None) -> sa.ColumnElement[Any]:
    return sa.bindparam(name, type_=type_ or Timestamp())


def _sums(
    table: sa.Table, interval: sa.ColumnElement[int], run_time: Any, lateness: Any, conditions: Sequence[Any]
) -> sa.Select[Any]:
    c = table.c
    return (
        sa.select(interval.label("interval"), c.state_type, c.state_name, sa.func.count(), run_time, lateness)
        .where(
            c.expected_start_time >= _param("history_start"),
            c.expected_start_time < _param("history_end"),
            c.state_type.is_not(None),
            c.state_name.is_not(None),
            *conditions,
        )
        .group_by(sa.text("1"), c.state_type, c.state_name)
    )


def _second(moment: Any) -> sa.ColumnElement[int]:
    """On SQLite: Unix time, or a stored duration, in whole seconds."""
    return sa.cast(sa.func.strftime(sa.literal_column("'%s'"), moment), sa.Integer)


def _sqlite(table: sa.Table, conditions: Sequence[Any]) -> sa.Select[Any]:
    """In whole seconds, as the reference counts on SQLite."""
    c = table.c

    def day(moment: Any) -> sa.ColumnElement[float]:
        return sa.func.julianday(moment, type_=sa.Float())

    def positive(seconds: Any) -> sa.ColumnElement[int]:
        return sa.func.max(sa.literal_column("0"), seconds, type_=sa.Integer())

    def since(moment: Any) -> sa.ColumnElement[int]:
        return positive(_second(_param("now")) - _second(moment))

    since_start = sa.func.round((day(c.expected_start_time) - day(_param("history_start"))) * 86400.0, 3)
    running = sa.case((c.state_type == "RUNNING", since(c.state_timestamp)), else_=sa.literal_column("0"))
    # Julian days are exact to the millisecond.
    waited = sa.cast((day(c.start_time) - day(c.expected_start_time)) * 86400.0 + 0.0005, sa.Integer)
    late = sa.case(
        (c.start_time > c.expected_start_time, waited),
        (overdue(table, _param("now")), since(c.expected_start_time)),
        else_=sa.literal_column("0"),
    )
    return _sums(
        table,
        sa.cast(since_start / sa.bindparam("interval", type_=sa.Float()), sa.Integer),
        sa.func.total(positive(_second(c.total_run_time)) + running),
        sa.func.total(late),
        conditions,
    )


def _postgresql(table: sa.Table, conditions: Sequence[Any]) -> sa.Select[Any]:
    c = table.c
    double, zero = sa.Double(), sa.literal_column("0")

    def seconds(difference: Any) -> sa.ColumnElement[Any]:
        return sa.extract("epoch", difference)

    now = sa.cast(_param("now"), Timestamp())
    interval = sa.cast(sa.bindparam("interval", type_=sa.Float()), double)
    start = sa.cast(_param("history_start"), Timestamp())
    since_start = sa.cast(seconds(c.expected_start_time - start), double)
    running = sa.case((c.state_type == "RUNNING", sa.func.greatest(zero, seconds(now - c.state_timestamp))), else_=zero)
    late = sa.case(
        (c.start_time > c.expected_start_time, seconds(c.start_time - c.expected_start_time)),
        (overdue(table, now), seconds(now - c.expected_start_time)),
        else_=zero,
    )
    return _sums(
        table,
        sa.cast(sa.func.floor(since_start / interval), sa.Integer),
        sa.cast(sa.func.sum(sa.func.greatest(zero, seconds(c.total_run_time)) + running), double),
        sa.cast(sa.func.sum(late), double),
        conditions,
    )


_TERMINAL = [sa.literal_column(f"'{state_type}'") for state_type in sorted(TERMINAL_STATES)]


def overdue(table: sa.Table, now: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """The run should have started, and still may."""
    c = table.c
    return sa.and_(c.start_time.is_(None), c.state_type.not_in(_TERMINAL), c.expected_start_time < now)


class History:
    """The statements of one table of runs, one per shape."""

    def __init__(self, subject: Subject, table: sa.Table) -> None:
        self._subject, self._table = subject, table
        self.statement = lru_cache(256)(self._statement)

    def _statement(self, shape: Shape) -> Statement:
        conditions = self._subject.conditions(shape)
        return Statement(
            by_dialect(sqlite=_sqlite(self._table, conditions), postgresql=_postgresql(self._table, conditions)),
            raw=True,
        )


def parameters(ends: list[datetime], now: datetime) -> dict[str, Any]:
    """The parameters of a history's statement besides those of its filters."""
    return {
        "history_start": ends[0],
        "history_end": ends[-1],
        "interval": (ends[1] - ends[0]).total_seconds(),
        "now": now,
    }
