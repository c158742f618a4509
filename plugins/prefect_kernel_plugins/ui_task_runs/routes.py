"""Task runs as the UI asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from pydantic import create_model

from prefect_kernel import errors, web
from prefect_kernel.filtering import Clause, Node, Shape, Subject
from prefect_kernel.later import Later
from prefect_kernel.sql import Statement, Unit, by_dialect, point_read
from prefect_kernel.sql.types import UUID, Timestamp
from prefect_kernel.transition import TERMINAL_STATES

from ..common.paging import Filtered
from ..deployments.filters import DEPLOYMENT_FILTER
from ..deployments.tables import deployment
from ..flow_runs.filters import FLOW_RUN_FILTER
from ..flow_runs.tables import flow_run
from ..flows.filters import FLOW_FILTER
from ..flows.tables import flow
from ..task_runs.filters import TASK_RUN_FILTER, TASK_RUNS
from ..task_runs.tables import task_run
from ..task_runs.wire import TASK_RUN_COLUMNS, TASK_RUN_FROM, TASK_RUN_WIRE
from ..work_pools.filters import WORK_POOL_FILTER, WORK_QUEUE_FILTER
from ..work_pools.tables import work_pool, work_queue

group = web.Group("UI Task Runs", prefix="/ui/task_runs")

BUCKETS = 20
"""Intervals into which the dashboard's time is divided."""

STATES = ("COMPLETED", "PENDING", "RUNNING", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING", "SCHEDULED")
"""Types of states, in the order of the wire."""

DASHBOARD = Subject(
    "task_runs", TASK_RUN_FILTER, ["task_runs", "flows", "flow_runs", "deployments", "work_pools", "work_queues"]
)
"""Task runs of the dashboard."""


def _of_flow_run(used: Mapping[str, Clause | None]) -> Clause:
    source: sa.FromClause = flow_run
    if "flows" in used:
        source = source.join(flow, flow.c.id == flow_run.c.flow_id)
    if "deployments" in used:
        source = source.join(deployment, deployment.c.id == flow_run.c.deployment_id)
    if "work_queues" in used or "work_pools" in used:
        source = source.join(work_queue, work_queue.c.id == flow_run.c.work_queue_id)
    if "work_pools" in used:
        source = source.join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    conditions = [clause for clause in used.values() if clause is not None]
    return sa.exists().select_from(source).where(flow_run.c.id == task_run.c.flow_run_id, *conditions)


DASHBOARD.relate(
    {
        "flows": FLOW_FILTER,
        "flow_runs": FLOW_RUN_FILTER,
        "deployments": DEPLOYMENT_FILTER,
        "work_pools": WORK_POOL_FILTER,
        "work_queues": WORK_QUEUE_FILTER,
    },
    _of_flow_run,
    {"flow_runs": task_run.c.flow_run_id},
)


def _dashboard_counts() -> Any:
    fields: dict[str, Any] = {key: (DASHBOARD.nodes[key].model | None, None) for key in DASHBOARD.accepts[1:]}
    return create_model("DashboardCounts", __base__=Filtered, task_runs=(TASK_RUN_FILTER.model, ...), **fields)


DashboardCounts = Later(_dashboard_counts)
Counts = TASK_RUNS.body("UITaskRunCounts", Filtered)

_SINCE = {
    "sqlite": "(julianday(task_run.start_time) - julianday(:start)) * 86400.0",
    "postgresql": "CAST(extract(epoch FROM task_run.start_time - CAST(:start AS timestamptz)) AS double precision)",
}


def _select(dialect: str, conditions: list[Clause]) -> sa.Select[Any]:
    since = sa.text(_SINCE[dialect]).bindparams(sa.bindparam("start", type_=Timestamp()))
    seconds: Any = sa.type_coerce(since, sa.Float)
    bucket = sa.func.floor(seconds / sa.bindparam("length", type_=sa.Float())).label("bucket")
    failed = sa.case((task_run.c.state_type.in_([sa.literal_column("'CRASHED'"), sa.literal_column("'FAILED'")]), 1))
    return (
        sa.select(bucket, sa.func.count(), sa.func.count(failed))
        .where(task_run.c.start_time.is_not(None), *conditions)
        .group_by(sa.text("1"))
    )


@lru_cache(256)
def _buckets(shape: Shape) -> Statement:
    conditions = DASHBOARD.conditions(shape)
    return Statement(by_dialect(sqlite=_select("sqlite", conditions), postgresql=_select("postgresql", conditions)))


@lru_cache(256)
def _by_state(shape: Shape) -> Statement:
    return Statement(
        sa.select(task_run.c.state_type, sa.func.count())
        .where(task_run.c.state_type.is_not(None), *TASK_RUNS.conditions(shape))
        .group_by(task_run.c.state_type)
    )


def _rows(statement: Statement, params: dict[str, Any]) -> Unit[list[Any]]:
    rows: list[Any] = yield statement.bind(params)
    return rows


def _terminal() -> Any:
    states = TASK_RUN_FILTER.members["state"]
    assert isinstance(states, Node)
    return states.model.model_validate({"type": {"any_": sorted(TERMINAL_STATES)}})


@group.post("/dashboard/counts", body=DashboardCounts, embed=True, permission="read", response="TaskRunCount[]")
async def read_dashboard_task_run_counts(request: web.Request, body: Any) -> web.Reply:
    """How many task runs have ended well and badly, in twenty intervals of the time asked for."""
    kernel, times = request.kernel, body.task_runs.start_time
    if times is None or times.after_ is None:
        raise errors.Unprocessable("task_runs.start_time.after_ is required")
    body.task_runs.state = _terminal()
    start: datetime = times.after_.replace(second=0, microsecond=0)
    end = (times.before_ or kernel.clock.now()).astimezone(UTC).replace(second=59, microsecond=999999)
    params: dict[str, Any] = {"start": start, "length": (end - start).total_seconds() / BUCKETS}
    if not params["length"]:
        raise errors.Unprocessable("The time asked for is empty.")
    counts = [{"completed": 0, "failed": 0} for _ in range(BUCKETS)]
    for bucket, number, failed in await kernel.storage.read(_rows, _buckets(DASHBOARD.take(body, params)), params):
        if 0 <= bucket < BUCKETS:
            counts[int(bucket)] = {"completed": number - failed, "failed": failed}
    return web.json(counts)


@group.post("/count", body=Counts, embed=True, permission="read", response="CountByState")
async def read_task_run_counts_by_state(request: web.Request, body: Any) -> web.Reply:
    """How many task runs are in states of each type."""
    params: dict[str, Any] = {}
    rows = await request.kernel.storage.read(_rows, _by_state(TASK_RUNS.take(body, params)), params)
    return web.json(dict.fromkeys(STATES, 0) | {row[0]: row[1] for row in rows})


_ONE = Statement(
    sa.select(*TASK_RUN_COLUMNS, flow_run.c.name)
    .select_from(TASK_RUN_FROM.outerjoin(flow_run, flow_run.c.id == task_run.c.flow_run_id))
    .where(task_run.c.id == sa.bindparam("id", type_=UUID())),
    raw=True,
)


@point_read
def _one(id: str) -> Unit[Any]:
    rows = yield _ONE(id=id)
    return rows[0] if rows else None


@group.get("/{id:uuid}", permission="read", response="UITaskRun")
async def read_task_run_with_flow_run_name(request: web.Request) -> web.Reply:
    """A task run with the name of its flow run."""
    kernel = request.kernel
    row = await kernel.storage.read(_one, request.path["id"])
    if row is None:
        raise errors.NotFound("Task not found")
    *run, name = row
    shown = TASK_RUN_WIRE.one(kernel.storage.dialect, run, kernel.clock.now())
    return web.raw(shown[:-1] + b',"flow_run_name":' + orjson.dumps(name or None) + b"}")
