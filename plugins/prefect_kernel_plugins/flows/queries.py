"""Statements and units of single flows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Call, Statement, Unit, inserting, point_read
from prefect_kernel.sql.types import JSON, UUID, Timestamp

from ..common.lifecycle import lifecycle_event
from .tables import flow
from .wire import FLOW_COLUMNS

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .schemas import FlowCreate

_BY_ID = Statement(sa.select(*FLOW_COLUMNS).where(flow.c.id == sa.bindparam("id", type_=UUID())), raw=True)
_BY_NAME = Statement(sa.select(*FLOW_COLUMNS).where(flow.c.name == sa.bindparam("name")), raw=True)
_FACTS = Statement(
    sa.select(flow.c.name, flow.c.tags, flow.c.labels).where(flow.c.id == sa.bindparam("id", type_=UUID()))
)
"""What a flow's events tell."""

_VALUES = {name: sa.bindparam(name, type_=flow.c[name].type) for name in "id created updated name tags labels".split()}
_INSERT = Statement(
    inserting(lambda insert: insert(flow).values(_VALUES).on_conflict_do_nothing(index_elements=["name"]))
)
_UPDATE = Statement(
    sa.update(flow)
    .values(tags=sa.bindparam("new_tags", type_=JSON()), updated=sa.bindparam("now", type_=Timestamp()))
    .where(flow.c.id == sa.bindparam("flow_id", type_=UUID()))
)
_DELETE = Statement(sa.delete(flow).where(flow.c.id == sa.bindparam("id", type_=UUID())))


@point_read
def by_id(id: str) -> Unit[Any]:
    """The raw row of a flow, or None."""
    rows = yield _BY_ID(id=id)
    return rows[0] if rows else None


@point_read
def by_name(name: str) -> Unit[Any]:
    """The raw row of the flow of that name, or None."""
    rows = yield _BY_NAME(name=name)
    return rows[0] if rows else None


def _event(kernel: Kernel, action: str, id: str, facts: tuple[Any, ...], now: datetime) -> list[Call]:
    if not kernel.events.wanted:
        return []
    payload = dict(zip(("name", "tags", "labels"), facts, strict=True))
    return [kernel.events.call(lifecycle_event("flow", action, id, payload["name"], payload, now))]


def create(kernel: Kernel, body: FlowCreate, now: datetime) -> Unit[tuple[Any, bool]]:
    """The raw row of the flow of that name, and whether this call made it."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "created": now,
        "updated": now,
        "name": body.name,
        "tags": body.tags,
        "labels": body.labels,
    }
    inserted = yield _INSERT.bind(values)
    rows = yield _BY_NAME(name=body.name)
    if inserted:
        for call in _event(kernel, "created", values["id"], (body.name, body.tags, body.labels), now):
            yield call
    return rows[0], bool(inserted)


def update(kernel: Kernel, id: str, tags: list[str] | None, now: datetime) -> Unit[bool]:
    """Set a flow's tags (None leaves them as they are); False when there is no such flow."""
    rows = yield _FACTS(id=id)
    if not rows:
        return False
    name, old_tags, labels = rows[0]
    new_tags = old_tags if tags is None else tags
    yield _UPDATE(flow_id=id, new_tags=new_tags, now=now)
    for call in _event(kernel, "updated", id, (name, new_tags, labels), now):
        yield call
    return True


def delete(kernel: Kernel, id: str, now: datetime) -> Unit[bool]:
    """Delete a flow with its runs and deployments; False when there is no such flow."""
    rows = yield _FACTS(id=id)
    if not rows:
        return False
    yield _DELETE(id=id)
    for call in _event(kernel, "deleted", id, rows[0], now):
        yield call
    return True
