"""Statements and units of single block types."""

from __future__ import annotations

import html
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import UUID, Timestamp

from ..blocks import default_storage
from ..blocks.tables import block_type as t
from ..common.lifecycle import lifecycle_event
from .wire import TYPE_COLUMNS

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .schemas import BlockTypeCreate

UPDATABLE = ("logo_url", "documentation_url", "description", "code_example")
_FACTS = ("name", "slug", *UPDATABLE, "is_protected")

_ID = t.c.id == sa.bindparam("id", type_=UUID())
_BY_ID = Statement(sa.select(*TYPE_COLUMNS).where(_ID), raw=True)
_BY_SLUG = Statement(sa.select(*TYPE_COLUMNS).where(t.c.slug == sa.bindparam("slug")), raw=True)
_OLDEST_BY_NAME = Statement(
    sa.select(*TYPE_COLUMNS).where(t.c.name == sa.bindparam("name")).order_by(t.c.created).limit(1), raw=True
)
_FACTS_BY_ID = Statement(sa.select(*(t.c[name] for name in _FACTS)).where(_ID))
_INSERT = Statement(sa.insert(t).values({c.name: sa.bindparam(c.name, type_=c.type) for c in t.columns}))
_DELETE = Statement(sa.delete(t).where(_ID))


@lru_cache(16)
def _update(names: tuple[str, ...]) -> Statement:
    values = {name: sa.bindparam(f"new_{name}", type_=t.c[name].type) for name in names}
    return Statement(
        sa.update(t)
        .values(**values, updated=sa.bindparam("now", type_=Timestamp()))
        .where(t.c.id == sa.bindparam("type_id", type_=UUID()))
    )


@point_read
def by_id(id: str) -> Unit[Any]:
    """The raw row of a block type, or None."""
    rows = yield _BY_ID(id=id)
    return rows[0] if rows else None


@point_read
def by_slug(slug: str) -> Unit[Any]:
    """The raw row of the block type with that slug, or None."""
    rows = yield _BY_SLUG(slug=slug)
    return rows[0] if rows else None


def _event(kernel: Kernel, action: str, id: str, facts: dict[str, Any], now: datetime) -> Unit[None]:
    payload = {name: facts[name] for name in _FACTS}
    yield from kernel.events.put(lifecycle_event("block-type", action, id, facts["name"], payload, now))


def create(kernel: Kernel, body: BlockTypeCreate, now: datetime) -> Unit[Any]:
    """Make a block type; the raw row of the oldest type of its name. The driver raises UniqueViolation for its slug.

    Names need not be unique, and the reference answers with the first type that it finds by name.
    """
    values = {**body.__dict__, "id": uuid4(), "created": now, "updated": now, "is_protected": False}
    for name in ("description", "code_example"):
        if values[name] is not None:
            values[name] = html.escape(values[name], quote=False)
    for name in ("logo_url", "documentation_url"):
        if values[name] is not None:
            values[name] = values[name].strip()
    yield _INSERT.bind(values)
    rows = yield _OLDEST_BY_NAME(name=body.name)
    if str(rows[0][0]) == values["id"]:
        yield from _event(kernel, "created", values["id"], values, now)
    return rows[0]


def _comparable(facts: dict[str, Any]) -> dict[str, Any]:
    out = {name: facts[name] for name in UPDATABLE if name in facts}
    for name in ("description", "code_example"):
        if out.get(name) is not None:
            out[name] = html.unescape(out[name])
    return out


def update(kernel: Kernel, id: str, changes: dict[str, Any], now: datetime) -> Unit[bool]:
    """Change a block type; False when there is none. Nothing happens when all it may have changed is as it was."""
    rows = yield _FACTS_BY_ID(id=id)
    if not rows:
        return False
    facts = dict(zip(_FACTS, rows[0], strict=True))
    stripped = {**facts}
    for name in ("logo_url", "documentation_url"):
        if stripped[name] is not None:
            stripped[name] = stripped[name].strip()
    if _comparable(changes) != _comparable(stripped):
        values = {f"new_{name}": value for name, value in changes.items()}
        yield _update(tuple(changes)).bind({**values, "type_id": id, "now": now})
        yield from _event(kernel, "updated", id, {**facts, **changes}, now)
    return True


def delete(kernel: Kernel, id: str, now: datetime) -> Unit[bool]:
    """Delete a block type with its schemas and documents; False when there is none. Raises Forbidden if protected."""
    rows = yield _FACTS_BY_ID(id=id)
    if not rows:
        return False
    facts = dict(zip(_FACTS, rows[0], strict=True))
    if facts["is_protected"]:
        raise errors.Forbidden("protected block types cannot be deleted.")
    yield default_storage.forget_type(id)
    yield _DELETE(id=id)
    yield from _event(kernel, "deleted", id, facts, now)
    return True
