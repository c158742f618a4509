"""Statements and units of single limits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, by_dialect
from prefect_kernel.sql.types import UUID, Timestamp
from prefect_kernel.wire import Field, Wire

from ..common.lifecycle import lifecycle_event
from .slots import active_slots_now
from .tables import concurrency_limit_v2 as t

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .schemas import LimitCreate

LIMIT_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("active", "bool"),
        Field("name", "text"),
        Field("limit", "int"),
        Field("active_slots", "int"),
        Field("slot_decay_per_second"),
    ]
)
"""A limit; its active slots are those that have not decayed by now."""

_HEAD = [t.c.id, t.c.created, t.c.updated, t.c.active, t.c.name, t.c.limit]


def _select(dialect: str, *where: Any) -> sa.Select[Any]:
    return sa.select(*_HEAD, active_slots_now(dialect), t.c.slot_decay_per_second).where(*where)


def _both(*where: Any) -> Statement:
    return Statement(by_dialect(sqlite=_select("sqlite", *where), postgresql=_select("postgresql", *where)), raw=True)


_BY_ID = _both(t.c.id == sa.bindparam("id", type_=UUID()))
_BY_NAME = _both(t.c.name == sa.bindparam("limit_name"))


def _page(dialect: str) -> sa.Select[Any]:
    bounds = {name: sa.bindparam(name, type_=sa.Integer()) for name in ("count", "skip")}
    return _select(dialect).order_by(t.c.name).limit(bounds["count"]).offset(bounds["skip"])


_PAGE = Statement(by_dialect(sqlite=_page("sqlite"), postgresql=_page("postgresql")), raw=True)
_COLUMNS = [column.name for column in t.columns]
_INSERT = Statement(sa.insert(t).values({name: sa.bindparam(name, type_=t.c[name].type) for name in _COLUMNS}))
_FACTS = "id name limit active slot_decay_per_second".split()
_FACTS_BY_ID = Statement(
    sa.select(*(t.c[name] for name in _FACTS)).where(t.c.id == sa.bindparam("id", type_=UUID())).with_for_update()
)
_ID_BY_NAME = Statement(sa.select(t.c.id).where(t.c.name == sa.bindparam("limit_name")))
_DELETE = Statement(sa.delete(t).where(t.c.id == sa.bindparam("id", type_=UUID())))
_updates: dict[tuple[str, ...], Statement] = {}


def _update(names: tuple[str, ...]) -> Statement:
    """The update of some columns; there are at most 64 such statements."""
    if names not in _updates:
        values = {name: sa.bindparam(f"new_{name}", type_=t.c[name].type) for name in names}
        _updates[names] = Statement(
            sa.update(t)
            .values({**values, "updated": sa.bindparam("now", type_=Timestamp())})
            .where(t.c.id == sa.bindparam("limit_id", type_=UUID()))
        )
    return _updates[names]


def _event(kernel: Kernel, action: str, facts: dict[str, Any], now: datetime) -> Unit[None]:
    payload = {name: facts[name] for name in _FACTS if name != "id"}
    yield from kernel.events.put(lifecycle_event("concurrency-limit", action, facts["id"], facts["name"], payload, now))


def create(kernel: Kernel, body: LimitCreate, now: datetime) -> Unit[dict[str, Any]]:
    """Make a limit. The driver raises UniqueViolation when the name is taken."""
    row = {**body.__dict__, "id": uuid4(), "created": now, "updated": now, "avg_slot_occupancy_seconds": 2.0}
    yield _INSERT.bind(row)
    yield from _event(kernel, "created", row, now)
    return row


def read(now: datetime, *, id: str | None = None, name: str | None = None) -> Unit[Any]:
    """The raw row of a limit, or None."""
    rows = yield _BY_ID(id=id, now=now) if id is not None else _BY_NAME(limit_name=name, now=now)
    return rows[0] if rows else None


def page(now: datetime, count: int, skip: int) -> Unit[list[Any]]:
    """Raw rows of limits, by name."""
    rows: list[Any] = yield _PAGE(now=now, count=count, skip=skip)
    return rows


def _facts(id: str | None, name: str | None) -> Unit[dict[str, Any] | None]:
    if id is None:
        rows = yield _ID_BY_NAME(limit_name=name)
        if not rows:
            return None
        id = rows[0][0]
    rows = yield _FACTS_BY_ID(id=id)
    return dict(zip(_FACTS, rows[0], strict=True)) if rows else None


def update(
    kernel: Kernel, changes: dict[str, Any], now: datetime, *, id: str | None = None, name: str | None = None
) -> Unit[bool]:
    """Change a limit; False when there is none."""
    facts = yield from _facts(id, name)
    if facts is None:
        return False
    values = {f"new_{key}": value for key, value in changes.items()}
    yield _update(tuple(changes)).bind({**values, "limit_id": facts["id"], "now": now})
    yield from _event(kernel, "updated", {**facts, **changes}, now)
    return True


def delete(kernel: Kernel, now: datetime, *, id: str | None = None, name: str | None = None) -> Unit[bool]:
    """Delete a limit; False when there is none."""
    facts = yield from _facts(id, name)
    if facts is None:
        return False
    yield _DELETE(id=facts["id"])
    yield from _event(kernel, "deleted", facts, now)
    return True
