"""The concurrency limit that a deployment has for itself: a global limit named `deployment:{id}`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Batch, Statement, Unit
from prefect_kernel.sql.types import UUID, Timestamp

from ..concurrency_limits_v2.tables import concurrency_limit_v2 as limit
from .tables import deployment

_ID = deployment.c.id == sa.bindparam("deployment_id", type_=UUID())
_NOW = sa.bindparam("now", type_=Timestamp())
_LIMIT_ID = limit.c.id == sa.bindparam("limit_id", type_=UUID())
_SLOTS = sa.bindparam("slots", type_=sa.Integer())

_CURRENT = Statement(
    sa.select(limit.c.id, limit.c.limit)
    .select_from(deployment.join(limit, limit.c.id == deployment.c.concurrency_limit_id))
    .where(_ID)
)
_EXISTS = Statement(sa.select(limit.c.id).where(_LIMIT_ID))
_DELETE = Statement(sa.delete(limit).where(_LIMIT_ID))
_CHANGE = Statement(sa.update(limit).values(limit=_SLOTS, updated=_NOW).where(_LIMIT_ID))
_INSERT = Statement(
    sa.insert(limit).values({column.name: sa.bindparam(column.name, type_=column.type) for column in limit.columns})
)
_SET_NUMBER = Statement(sa.update(deployment).values(concurrency_limit=_SLOTS, updated=_NOW).where(_ID))
_SET_BOTH = Statement(
    sa.update(deployment)
    .values(concurrency_limit=_SLOTS, concurrency_limit_id=sa.bindparam("limit_id", type_=UUID()), updated=_NOW)
    .where(_ID)
)


def need_limit(id: Any) -> Unit[None]:
    """Raises NotFound when there is no global limit of that id."""
    if id is not None and not (yield _EXISTS(limit_id=str(id))):
        raise errors.NotFound("Concurrency limit not found")


def set_limit(deployment_id: str, slots: int | None, now: datetime) -> Unit[None]:
    """Let at most so many runs of a deployment be active at a time; None for any number.

    It is the deployment's limit that is changed or deleted, also where that is a global one which it was given.
    """
    rows = yield _CURRENT(deployment_id=deployment_id)
    id, current = rows[0] if rows else (None, None)
    if current == slots:
        return
    target = {"deployment_id": deployment_id, "slots": slots, "now": now}
    if slots is None:
        yield Batch([(_SET_NUMBER.bind(target), None), (_DELETE(limit_id=id), None)])
        return
    if id is not None:
        yield Batch([(_CHANGE(limit_id=id, slots=slots, now=now), None), (_SET_NUMBER.bind(target), None)])
        return
    row = {
        "id": uuid4(),
        "created": now,
        "updated": now,
        "active": True,
        "name": f"deployment:{deployment_id}",
        "limit": slots,
        "active_slots": 0,
        "denied_slots": 0,
        "slot_decay_per_second": 0.0,
        "avg_slot_occupancy_seconds": 2.0,
    }
    yield Batch([(_INSERT.bind(row), None), (_SET_BOTH.bind({**target, "limit_id": row["id"]}), None)])
