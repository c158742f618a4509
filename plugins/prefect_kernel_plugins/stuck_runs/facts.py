"""What is known about a run that does not go on: a few statements, each by key or index."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.errors import ObjectNotFound
from prefect_kernel.sql import Statement, Unit, by_dialect, in_list, json_value
from prefect_kernel.sql.types import POSTGRESQL, SQLITE, UUID, Timestamp

from ..concurrency_limits_v2.tables import concurrency_limit_v2
from ..deployments.tables import deployment, deployment_schedule
from ..events.tables import event_resources, events
from ..flow_runs.tables import flow_run, flow_run_state
from ..states.stored import details_from_json
from ..work_pools.tables import work_pool, work_queue, worker
from ..work_pools.wire import HOLDING
from .heartbeats import LAST

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

HOLDERS = 10
"""How many of those who hold a limit are named."""

SUBMITTED = "prefect.worker.submitted-flow-run"
"""The event by which a worker tells that it has launched a run."""

_ID = sa.bindparam("id", type_=UUID())
_TABLES: list[tuple[str, Any, str]] = [
    (
        "run",
        flow_run,
        (
            "id name state_type state_name state_timestamp next_scheduled_start_time auto_scheduled infrastructure_pid"
            " deployment_id work_queue_id created_by empirical_policy"
        ),
    ),
    ("state", flow_run_state, "message state_details"),
    ("deployment", deployment, "id name paused status last_polled concurrency_options"),
    ("limit", concurrency_limit_v2, "id name limit active active_slots"),
    ("queue", work_queue, "id name is_paused concurrency_limit last_polled status"),
    ("pool", work_pool, "id name type is_paused concurrency_limit status"),
]
_COLUMNS = [table.c[name] for _, table, names in _TABLES for name in names.split()]
_RUN = Statement(
    sa.select(*_COLUMNS)
    .select_from(
        flow_run.outerjoin(flow_run_state, flow_run_state.c.id == flow_run.c.state_id)
        .outerjoin(deployment, deployment.c.id == flow_run.c.deployment_id)
        .outerjoin(concurrency_limit_v2, concurrency_limit_v2.c.id == deployment.c.concurrency_limit_id)
        .outerjoin(work_queue, work_queue.c.id == flow_run.c.work_queue_id)
        .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    )
    .where(flow_run.c.id == _ID)
)
_SCHEDULE = Statement(sa.select(deployment_schedule.c.active).where(deployment_schedule.c.id == _ID))
_WORKERS = Statement(
    sa.select(
        sa.func.count().filter(worker.c.status == sa.literal_column("'ONLINE'")),
        sa.func.count(),
        sa.func.max(worker.c.last_heartbeat_time, type_=Timestamp()),
    ).where(worker.c.work_pool_id == _ID)
)
_RUN_FACTS = (flow_run.c.id, flow_run.c.name, flow_run.c.state_name, flow_run.c.state_timestamp)
_OF_QUEUE = (flow_run.c.work_queue_id == _ID, flow_run.c.state_type.in_(HOLDING))
_OF_POOL = (
    flow_run.c.work_queue_id.in_(sa.select(work_queue.c.id).where(work_queue.c.work_pool_id == _ID)),
    flow_run.c.state_type.in_(HOLDING),
)
_HELD = {
    name: (
        Statement(sa.select(sa.func.count()).select_from(flow_run).where(*where)),
        Statement(sa.select(*_RUN_FACTS).where(*where).order_by(flow_run.c.state_timestamp).limit(HOLDERS)),
    )
    for name, where in (("queue", _OF_QUEUE), ("pool", _OF_POOL))
}
_RUNS = Statement(sa.select(*_RUN_FACTS).where(in_list(flow_run.c.id, "ids")).order_by(flow_run.c.state_timestamp))


def _submitted(dialect: str) -> sa.Select[Any]:
    run = sa.bindparam("resource_id", type_=sa.String())
    return (
        sa.select(events.c.occurred, json_value(events.c.resource, "prefect.resource.name"))
        .select_from(event_resources.join(events, events.c.id == event_resources.c.event_id))
        .where(
            event_resources.c.resource_id == run,
            event_resources.c.occurred >= sa.bindparam("since", type_=Timestamp()),
            events.c.event == sa.literal_column(f"'{SUBMITTED}'"),
        )
        .order_by(event_resources.c.occurred.desc())
        .limit(1)
    )


_SUBMITTED = Statement(by_dialect(sqlite=_submitted(SQLITE), postgresql=_submitted(POSTGRESQL)))


def gather(kernel: Kernel, id: str, now: datetime) -> Unit[dict[str, Any]]:
    """All that `causes` looks at. Raises ObjectNotFound."""
    rows = yield _RUN(id=id)
    if not rows:
        raise ObjectNotFound(f"Flow run with id {id} not found")
    cells = iter(rows[0])
    facts: dict[str, Any] = {}
    for name, _, names in _TABLES:
        row = {key: next(cells) for key in names.split()}
        facts[name] = row if name in ("run", "state") or row["id"] is not None else None
    run, details = facts["run"], facts["state"]["state_details"]
    facts["details"] = details_from_json(details) if details is not None else {}
    kind = run["state_type"]
    if kind == "SCHEDULED":
        yield from _waiting(kernel, facts, now)
    elif kind in ("PENDING", "RUNNING"):
        since = {"resource_id": f"prefect.flow-run.{id}", "since": run["state_timestamp"]}
        submitted = yield _SUBMITTED(**since)
        facts["worker"] = submitted[0][1] if submitted else None
        if facts["pool"] is not None:
            facts["workers"] = (yield _WORKERS(id=facts["pool"]["id"]))[0]
    if kind == "RUNNING":
        facts["heartbeat"] = (yield LAST(run_id=id))[0][0]
    return facts


def _waiting(kernel: Kernel, facts: dict[str, Any], now: datetime) -> Unit[None]:
    """What decides when a scheduled run starts."""
    maker = facts["run"]["created_by"] or {}
    if facts["run"]["auto_scheduled"] and maker.get("type") == "SCHEDULE" and maker.get("id"):
        rows = yield _SCHEDULE(id=maker["id"])
        facts["schedule"] = {"id": maker["id"], "active": bool(rows[0][0]) if rows else None}
    if facts["pool"] is not None:
        facts["workers"] = (yield _WORKERS(id=facts["pool"]["id"]))[0]
    for name in ("queue", "pool"):
        place = facts[name]
        if place is not None and place["concurrency_limit"] is not None:
            count, holders = _HELD[name]
            place["held"] = (yield count(id=place["id"]))[0][0]
            place["holders"] = (yield holders(id=place["id"])) if place["held"] else []
    limit = facts["limit"]
    if limit is not None and limit["active"] and limit["active_slots"] >= limit["limit"]:
        leases = yield from kernel.leases.of_limit(limit["id"], now)
        ids = [lease.holder["id"] for lease in leases if lease.holder is not None][:HOLDERS]
        limit["holders"] = (yield _RUNS(ids=ids)) if ids else []
