"""Rows of the old table of limits by tag."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.sql import Call, Statement, Unit, in_list
from prefect_kernel.sql.types import UUID, Timestamp

from ..common.lifecycle import lifecycle_event
from .tables import concurrency_limit as t

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

KEYS = ("id", "created", "updated", "tag", "concurrency_limit", "active_slots")
_ALL = sa.select(*(t.c[name] for name in KEYS))
_BY_ID = Statement(_ALL.where(t.c.id == sa.bindparam("id", type_=UUID())))
_BY_TAG = Statement(_ALL.where(t.c.tag == sa.bindparam("tag", type_=sa.String())))
_OF_TAGS = Statement(_ALL.where(in_list(t.c.tag, "tags")).order_by(t.c.tag).with_for_update())
_PAGE = Statement(_ALL.order_by(t.c.tag).limit(sa.bindparam("number", type_=sa.Integer())))
_SET = Statement(
    sa.update(t)
    .values(
        active_slots=sa.bindparam("holders", type_=t.c.active_slots.type),
        updated=sa.bindparam("now", type_=Timestamp()),
    )
    .where(t.c.id == sa.bindparam("limit_id", type_=UUID()))
)
_DELETE = Statement(sa.delete(t).where(t.c.id == sa.bindparam("id", type_=UUID())))


def _dicts(rows: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(KEYS, row, strict=True)) for row in rows]


def one(*, id: str | None = None, tag: str | None = None) -> Unit[dict[str, Any] | None]:
    """The row with that id or tag, or None."""
    rows = yield _BY_ID(id=id) if id is not None else _BY_TAG(tag=tag)
    return _dicts(rows)[0] if rows else None


def first(number: int) -> Unit[list[dict[str, Any]]]:
    """The first rows by tag."""
    return _dicts((yield _PAGE(number=number)))


def of_tags(tags: list[str]) -> Unit[list[dict[str, Any]]]:
    """The rows of these tags, locked, by tag."""
    return _dicts((yield _OF_TAGS(tags=tags))) if tags else []


def set_holders(limit: dict[str, Any], holders: list[str], now: datetime) -> Call:
    """The write that sets who holds slots."""
    return _SET(limit_id=limit["id"], holders=holders, now=now)


def delete(kernel: Kernel, limit: dict[str, Any], now: datetime) -> Unit[None]:
    """Delete a row."""
    payload = {name: limit[name] for name in ("tag", "concurrency_limit")}
    yield _DELETE(id=limit["id"])
    yield from kernel.events.put(
        lifecycle_event("concurrency-limit", "deleted", limit["id"], limit["tag"], payload, now)
    )
