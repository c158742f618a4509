"""Statements and units of single deployments: read, pause, delete, and their scheduled runs that are out of date."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.sql import Batch, Call, Statement, Unit, in_list, point_read
from prefect_kernel.sql.types import UUID, Bool, Timestamp

from ..concurrency_limits_v2.tables import concurrency_limit_v2
from ..flows.tables import flow
from .events import FACTS, Facts, event_calls, facts
from .tables import deployment
from .wire import DEPLOYMENT_COLUMNS, complete, joined

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

ID = deployment.c.id == sa.bindparam("id", type_=UUID())

_SELECT = sa.select(*DEPLOYMENT_COLUMNS).select_from(joined(deployment))
_BY_ID = Statement(_SELECT.where(ID), raw=True)
_BY_NAME = Statement(
    sa.select(*DEPLOYMENT_COLUMNS)
    .select_from(joined(deployment.join(flow, flow.c.id == deployment.c.flow_id)))
    .where(flow.c.name == sa.bindparam("flow_name"), deployment.c.name == sa.bindparam("name"))
    .limit(1),
    raw=True,
)
_EXISTS = Statement(sa.select(deployment.c.id).where(ID))
_NOW = sa.bindparam("now", type_=Timestamp())
_SET_PAUSED = Statement(
    sa.update(deployment)
    .values(paused=sa.bindparam("new_paused", type_=Bool()), updated=_NOW)
    .where(
        deployment.c.id == sa.bindparam("deployment_id", type_=UUID()),
        deployment.c.paused != sa.bindparam("new_paused", type_=Bool()),
    )
)
_DELETE = Statement(sa.delete(deployment).where(in_list(deployment.c.id, "ids")))
_DELETE_LIMITS = Statement(
    sa.delete(concurrency_limit_v2).where(
        concurrency_limit_v2.c.id.in_(
            sa.select(deployment.c.concurrency_limit_id).where(in_list(deployment.c.id, "ids"))
        )
    )
)

_run = sa.table(
    "flow_run",
    sa.column("deployment_id", UUID()),
    sa.column("state_type"),
    sa.column("state_name"),
    sa.column("run_count"),
    sa.column("auto_scheduled", Bool()),
    sa.column("next_scheduled_start_time", Timestamp()),
)
"""What is needed here of the runs of deployments; their slice is above this one."""

_WAITING = sa.and_(
    in_list(_run.c.deployment_id, "ids"),
    _run.c.state_type == sa.literal_column("'SCHEDULED'"),
    _run.c.state_name != sa.literal_column("'AwaitingConcurrencySlot'"),
    _run.c.run_count == sa.literal_column("0"),
)
_AUTOMATIC = _run.c.auto_scheduled.is_(sa.true())
_DELETE_RUNS = Statement(sa.delete(_run).where(_WAITING))
_DELETE_AUTOMATIC = Statement(sa.delete(_run).where(_WAITING, _AUTOMATIC))
_DELETE_FUTURE = Statement(sa.delete(_run).where(_WAITING, _AUTOMATIC, _run.c.next_scheduled_start_time > _NOW))


@point_read
def by_id(kernel: Kernel, id: str) -> Unit[Any]:
    """The complete row of a deployment, for the wire; or None."""
    rows = yield from complete(kernel, (yield _BY_ID(id=id)))
    return rows[0] if rows else None


@point_read
def by_name(kernel: Kernel, flow_name: str, name: str) -> Unit[Any]:
    """The complete row of the deployment of that name of the flow of that name, for the wire; or None."""
    rows = yield from complete(kernel, (yield _BY_NAME(flow_name=flow_name, name=name)))
    return rows[0] if rows else None


def exists(id: str) -> Unit[bool]:
    """Whether there is such a deployment."""
    return bool((yield _EXISTS(id=id)))


def facts_of(id: str) -> Unit[Facts | None]:
    """What the events of a deployment tell; None when there is no such deployment."""
    rows = yield FACTS(ids=[id])
    return facts(rows[0]) if rows else None


def drop_scheduled(id: str, *, future_after: datetime | None = None) -> Call:
    """Delete runs that a schedule has made and that have not begun; only those due after a moment, if one is given."""
    if future_after is None:
        return _DELETE_AUTOMATIC(ids=[id])
    return _DELETE_FUTURE(ids=[id], now=future_after)


def resume(id: str, now: datetime) -> Unit[bool]:
    """Let schedules make runs; False when there is no such deployment."""
    if not (yield from exists(id)):
        return False
    yield _SET_PAUSED(deployment_id=id, new_paused=False, now=now)
    return True


def pause(id: str, now: datetime) -> Unit[bool]:
    """Let schedules make no more runs, and delete those that wait; False when there is no such deployment."""
    if not (yield from exists(id)):
        return False
    yield Batch([(_SET_PAUSED(deployment_id=id, new_paused=True, now=now), None), (drop_scheduled(id), None)])
    return True


def delete(kernel: Kernel, ids: list[str], now: datetime) -> Unit[list[str]]:
    """Delete deployments with their schedules, limits and waiting runs; the ids of those that there were, sorted."""
    found = sorted((facts(row) for row in (yield FACTS(ids=ids))), key=lambda one: str(one["id"]))
    known = [one["id"] for one in found]
    if not known:
        return []
    events = [call for one in found for call in event_calls(kernel, "deleted", one, now)]
    yield Batch(
        [(call, None) for call in (_DELETE_RUNS(ids=known), _DELETE_LIMITS(ids=known), _DELETE(ids=known), *events)]
    )
    return known
