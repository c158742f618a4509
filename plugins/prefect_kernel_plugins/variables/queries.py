"""Statements and units of single variables."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import UUID, Timestamp

from ..common.lifecycle import lifecycle_event
from .tables import variable as t
from .wire import VARIABLE_COLUMNS

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .schemas import VariableCreate

CHANGEABLE = ("name", "value", "tags")

_ID = t.c.id == sa.bindparam("id", type_=UUID())
_NAME = t.c.name == sa.bindparam("its_name")
_FACTS = [t.c.id, t.c.name, t.c.value, t.c.tags]
_BY_ID = Statement(sa.select(*VARIABLE_COLUMNS).where(_ID), raw=True)
_BY_NAME = Statement(sa.select(*VARIABLE_COLUMNS).where(_NAME), raw=True)
_FACTS_BY_ID = Statement(sa.select(*_FACTS).where(_ID))
_FACTS_BY_NAME = Statement(sa.select(*_FACTS).where(_NAME))
_INSERT = Statement(sa.insert(t).values({c.name: sa.bindparam(c.name, type_=c.type) for c in t.columns}))
_DELETE = Statement(sa.delete(t).where(_ID))


@lru_cache(8)
def _update(names: tuple[str, ...]) -> Statement:
    values = {name: sa.bindparam(f"new_{name}", type_=t.c[name].type) for name in names}
    return Statement(
        sa.update(t)
        .values(**values, updated=sa.bindparam("now", type_=Timestamp()))
        .where(t.c.id == sa.bindparam("variable_id", type_=UUID()))
    )


@point_read
def by_id(id: str) -> Unit[Any]:
    """The raw row of a variable, or None."""
    rows = yield _BY_ID(id=id)
    return rows[0] if rows else None


@point_read
def by_name(name: str) -> Unit[Any]:
    """The raw row of the variable of that name, or None."""
    rows = yield _BY_NAME(its_name=name)
    return rows[0] if rows else None


def _facts(id: str | None, name: str | None) -> Unit[Any]:
    """(id, name, value, tags) of a variable, or None."""
    rows = yield _FACTS_BY_NAME(its_name=name) if id is None else _FACTS_BY_ID(id=id)
    return rows[0] if rows else None


def _event(kernel: Kernel, action: str, facts: Any, now: datetime) -> Unit[None]:
    id, name, value, tags = facts
    payload = {"name": name, "value": value, "tags": tags}
    yield from kernel.events.put(lifecycle_event("variable", action, str(id), name, payload, now))


def create(kernel: Kernel, body: VariableCreate, now: datetime) -> Unit[dict[str, Any]]:
    """Make a variable. The driver raises UniqueViolation when the name is taken."""
    row = {"id": uuid4(), "created": now, "updated": now, "name": body.name, "value": body.value, "tags": body.tags}
    yield _INSERT.bind(row)
    yield from _event(kernel, "created", (row["id"], body.name, body.value, body.tags), now)
    return row


def update(
    kernel: Kernel, changes: dict[str, Any], now: datetime, *, id: str | None = None, name: str | None = None
) -> Unit[bool]:
    """Change a variable; False when there is none."""
    facts = yield from _facts(id, name)
    if facts is None:
        return False
    values = {f"new_{key}": value for key, value in changes.items()}
    yield _update(tuple(changes)).bind({**values, "variable_id": str(facts[0]), "now": now})
    yield from _event(kernel, "updated", (yield from _facts(str(facts[0]), None)), now)
    return True


def delete(kernel: Kernel, now: datetime, *, id: str | None = None, name: str | None = None) -> Unit[bool]:
    """Delete a variable; False when there is none."""
    facts = yield from _facts(id, name)
    if facts is None:
        return False
    yield _DELETE(id=str(facts[0]))
    yield from _event(kernel, "deleted", facts, now)
    return True
