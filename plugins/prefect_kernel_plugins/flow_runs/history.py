"""The history of flow runs, and how late they start."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement, Unit, by_dialect
from prefect_kernel.sql.types import Timestamp
from prefect_kernel.wire import json_text

from ..common.history import History, HistoryBody, bounds, overdue, parameters, to_json
from ..common.paging import Filtered
from . import tallies
from .filters import FLOW_RUNS
from .group import group
from .tables import flow_run

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

FlowRunHistory = FLOW_RUNS.body("FlowRunHistory", HistoryBody, {"work_pool_queues": "work_queues"})
FlowRunLateness = FLOW_RUNS.body("FlowRunLateness", Filtered)

_history = History(FLOW_RUNS, flow_run)


def _rows(statement: Statement, params: dict[str, Any]) -> Unit[list[Any]]:
    rows: list[Any] = yield statement.bind(params)
    return rows


@group.post("/history", body=FlowRunHistory, embed=True, permission="read", response="HistoryResponse[]")
async def flow_run_history(request: web.Request, body: Any) -> web.Reply:
    """How many flow runs were expected to start in each interval, by their state."""
    ends = bounds(body)
    if not ends:
        return web.raw(b"[]")
    kernel = request.kernel
    now = kernel.clock.now()
    params = parameters(ends, now)
    shape = FLOW_RUNS.take(body, params)
    if shape:
        rows = await kernel.storage.read(_rows, _history.statement(shape), params)
    else:
        rows = await _history_of_all(kernel, ends, now)
    return web.raw(to_json(ends, rows, kernel.storage.dialect))


async def _history_of_all(kernel: Kernel, ends: list[datetime], now: datetime) -> list[Any]:
    dialect = kernel.storage.dialect
    while (rows := await kernel.storage.read(tallies.history, dialect, ends, now)) is None:
        await kernel.storage.write(tallies.refresh, dialect, *tallies.minutes(ends))
    return rows


def _lateness_sqlite() -> sa.ColumnElement[Any]:
    """In whole seconds, as the reference measures it on SQLite."""
    c = flow_run.c

    def second(moment: Any) -> sa.ColumnElement[int]:
        return sa.cast(sa.func.strftime("%s", moment), sa.Integer)

    now = sa.bindparam("now", type_=Timestamp())
    return sa.func.avg(
        sa.case(
            (c.start_time > c.expected_start_time, second(c.start_time) - second(c.expected_start_time)),
            (overdue(flow_run, now), second(now) - second(c.expected_start_time)),
            else_=0,
        )
    )


def _lateness_postgresql() -> sa.ColumnElement[Any]:
    c = flow_run.c
    now = sa.cast(sa.bindparam("now", type_=Timestamp()), Timestamp())
    late = sa.case(
        (c.start_time > c.expected_start_time, c.start_time - c.expected_start_time),
        (overdue(flow_run, now), now - c.expected_start_time),
        else_=sa.literal_column("INTERVAL '0'"),
    )
    return sa.cast(sa.extract("epoch", sa.func.avg(late)), sa.Double())


@lru_cache(256)
def lateness(shape: Shape) -> Statement:
    """The mean lateness of the flow runs that match a shape, in seconds; NULL when there are none."""
    conditions = FLOW_RUNS.conditions(shape)
    return Statement(
        by_dialect(
            sqlite=sa.select(_lateness_sqlite()).select_from(flow_run).where(*conditions),
            postgresql=sa.select(_lateness_postgresql()).select_from(flow_run).where(*conditions),
        ),
        raw=True,
    )


@group.post("/lateness", body=FlowRunLateness, embed=True, permission="read", response=float | None)
async def average_flow_run_lateness(request: web.Request, body: Any) -> web.Reply:
    """How many seconds later than expected flow runs start, on average."""
    kernel = request.kernel
    params: dict[str, Any] = {"now": kernel.clock.now()}
    rows = await kernel.storage.read(_rows, lateness(FLOW_RUNS.take(body, params)), params)
    return web.raw(json_text(rows[0][0]).encode())
