"""Units of single block schemas."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import UUID

from ..blocks import default_storage
from ..blocks.tables import block_schema as t
from ..blocks.tables import block_type
from . import tree

_ID = t.c.id == sa.bindparam("id", type_=UUID())
_PROTECTED = Statement(
    sa.select(block_type.c.is_protected)
    .select_from(t.join(block_type, block_type.c.id == t.c.block_type_id))
    .where(_ID)
)
_DELETE = Statement(sa.delete(t).where(_ID))


@point_read
def by_id(dialect: str, id: str) -> Unit[str | None]:
    """A schema as JSON, or None."""
    schemas = yield from tree.load(dialect, [id])
    return schemas.text(id) if id in schemas.rows else None


def page(dialect: str, statement: Statement, params: dict[str, object]) -> Unit[str]:
    """The schemas that a statement finds the ids of, as a JSON array."""
    rows = yield statement.bind(params)
    ids = [str(row[0]) for row in rows]
    schemas = yield from tree.load(dialect, ids)
    return f"[{','.join([schemas.text(id) for id in ids if id in schemas.rows])}]"


def delete(id: str) -> Unit[bool]:
    """Delete a schema with its documents; False when there is none. Raises Forbidden when its type is protected."""
    rows = yield _PROTECTED(id=id)
    if not rows:
        return False
    if rows[0][0]:
        raise errors.Forbidden("Block schemas for protected block types cannot be deleted.")
    yield default_storage.forget_schema(id)
    yield _DELETE(id=id)
    return True
