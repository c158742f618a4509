"""Flow runs as the UI asks for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import Field as BodyField

from prefect_kernel import errors, web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.paging import page_statement
from prefect_kernel.sql.types import POSTGRESQL, interval_from_text
from prefect_kernel.wire import Derived, Field, Skip, Wire, number

from ..common.estimates import ESTIMATED_RUN_TIME, ESTIMATED_START_TIME_DELTA
from ..common.fields import Lenient
from ..common.paging import Filtered, read_list
from ..flow_runs.filters import FLOW_RUNS, START
from ..flow_runs.reads import SORTS, FlowRunSort, alternatives
from ..flow_runs.tables import flow_run
from ..task_runs.tables import task_run

group = web.Group("UI Flow Runs", prefix="/ui/flow_runs")

MOST = 1000
"""Runs that are shown at most."""


def _duration_sqlite(state_type: str | None, total: str, since: str | None, now: datetime) -> str:
    text = number(interval_from_text(total).total_seconds())
    return ESTIMATED_RUN_TIME.sqlite(state_type, total, text, since, now)


def _duration_pg(state_type: str | None, total: timedelta, since: datetime | None, now: datetime) -> str:
    return ESTIMATED_RUN_TIME.postgresql(state_type, total, number(total.total_seconds()), since, now)


_WIRE = Wire(
    [
        Field("id", "word"),
        Field("state_type", "word"),
        Field("timestamp", "time"),
        Derived("duration", ("state_type", "total_run_time", "state_timestamp"), _duration_sqlite, _duration_pg),
        Derived(
            "lateness",
            ESTIMATED_START_TIME_DELTA.columns,
            ESTIMATED_START_TIME_DELTA.sqlite,
            ESTIMATED_START_TIME_DELTA.postgresql,
        ),
        Skip(1, "start_time"),
        Skip(1, "expected_start_time"),
        Skip(1, "total_run_time"),
        Skip(1, "state_timestamp"),
    ]
)
_HIDDEN = ("start_time", "expected_start_time", "total_run_time", "state_timestamp")
_COLUMNS = [flow_run.c.id, flow_run.c.state_type, START, *(flow_run.c[name] for name in _HIDDEN)]


class _Window(Filtered):
    sort: FlowRunSort = FlowRunSort.EXPECTED_START_TIME_DESC
    limit: Annotated[int, BodyField(le=MOST)] = MOST
    offset: Annotated[int, BodyField(ge=0)] = 0


RunHistory = FLOW_RUNS.body("UIFlowRunHistory", _Window, order="sort limit offset *", without=["work_pool_queues"])


@lru_cache(256)
def page(shape: Shape, sort: str) -> Statement:
    """The flow runs that match a shape."""
    return page_statement(
        flow_run,
        _COLUMNS,
        lambda runs: runs,
        FLOW_RUNS.conditions(shape),
        SORTS[sort],
        alternatives(shape, sort),
    )


@group.post("/history", body=RunHistory, embed=True, permission="read", response="SimpleFlowRun[]")
async def read_flow_run_history(request: web.Request, body: Any) -> web.Reply:
    """Single flow runs with how long they took and how late they were."""
    kernel, limit = request.kernel, body.limit
    if limit < 0:  # no limit to SQLite, and an error to PostgreSQL
        if kernel.storage.dialect == POSTGRESQL:
            raise errors.Unprocessable("Invalid limit: must be greater than or equal to 0.")
        limit = MOST
    params = {"limit": limit, "offset": body.offset}
    statement = page(FLOW_RUNS.take(body, params), body.sort.value)
    return web.raw(await kernel.storage.read(read_list, kernel, _WIRE, statement, params))


class FlowRunIds(Lenient):
    """Which flow runs."""

    flow_run_ids: list[UUID]


_subflow = flow_run.alias("subflow")
_COUNT = Statement(
    sa.select(task_run.c.flow_run_id, sa.func.count())
    .where(
        in_list(task_run.c.flow_run_id, "ids"),
        sa.not_(sa.exists().where(_subflow.c.parent_task_run_id == task_run.c.id)),
    )
    .group_by(task_run.c.flow_run_id)
)


def counted(statement: Statement, ids: list[str]) -> Unit[dict[str, int]]:
    """A number for each id, of a statement that gives ids with numbers; zero where it gives none."""
    rows = yield statement(ids=ids)
    return dict.fromkeys(ids, 0) | {row[0]: row[1] for row in rows}


@group.post("/count-task-runs", body=FlowRunIds, embed=True, permission="read", response="dict")
async def count_task_runs_by_flow_run(request: web.Request, body: FlowRunIds) -> web.Reply:
    """How many task runs flow runs have, those that stand for subflows left out."""
    ids = [str(id) for id in body.flow_run_ids]
    return web.json(await request.kernel.storage.read(counted, _COUNT, ids))
