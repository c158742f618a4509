"""Statements and units of saved searches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, inserting, point_read
from prefect_kernel.sql.types import UUID
from prefect_kernel.wire import Field, Wire

from .schemas import SavedSearchCreate
from .tables import saved_search as t

WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("filters", "json"),
    ]
)

_COLUMNS = [t.c.id, t.c.created, t.c.updated, t.c.name, t.c.filters]
_VALUES = {c.name: sa.bindparam(c.name, type_=c.type) for c in t.columns}
_ID = t.c.id == sa.bindparam("id", type_=UUID())


def _upsert(insert: Any) -> Any:
    statement = insert(t).values(_VALUES)
    return statement.on_conflict_do_update(index_elements=["name"], set_={"filters": statement.excluded.filters})


_UPSERT = Statement(inserting(_upsert))
_BY_NAME = Statement(sa.select(*_COLUMNS).where(t.c.name == sa.bindparam("its_name")), raw=True)
_BY_ID = Statement(sa.select(*_COLUMNS).where(_ID), raw=True)
_DELETE = Statement(sa.delete(t).where(_ID))
_BOUNDS = {name: sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset")}
PAGE = Statement(sa.select(*_COLUMNS).order_by(t.c.name).limit(_BOUNDS["limit"]).offset(_BOUNDS["offset"]), raw=True)
"""One page of the searches, by name."""


def save(body: SavedSearchCreate, now: datetime) -> Unit[tuple[Any, bool]]:
    """Save a search; its raw row, and whether it is new."""
    id = uuid4()
    filters = [one.model_dump() for one in body.filters]
    yield _UPSERT(id=id, created=now, updated=now, name=body.name, filters=filters)
    rows = yield _BY_NAME(its_name=body.name)
    return rows[0], str(rows[0][0]) == id


@point_read
def by_id(id: str) -> Unit[Any]:
    """The raw row of a search, or None."""
    rows = yield _BY_ID(id=id)
    return rows[0] if rows else None


def delete(id: str) -> Unit[bool]:
    """Delete a search; False when there is none."""
    return bool((yield _DELETE(id=id)))
