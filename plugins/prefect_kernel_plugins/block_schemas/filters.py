"""What lists of block schemas can be filtered by, and what they add to lists of block types."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from prefect_kernel.filtering import AnyOf, Clause, HasAll, Node, Subject

from ..block_types.filters import TYPES
from ..blocks.tables import block_schema as t
from ..blocks.tables import block_type
from ..common.filters import ids

SCHEMA_FILTER = Node(
    "BlockSchemaFilter",
    operator=True,
    block_type_id=ids(t.c.block_type_id, not_any=False),
    block_capabilities=Node(all_=HasAll(t.c.capabilities)),
    id=ids(t.c.id, not_any=False),
    version=Node(any_=AnyOf(t.c.version)),
)

SCHEMAS = Subject("block_schemas", SCHEMA_FILTER, ["block_schemas"])
"""Lists of block schemas."""


def _of_type(used: Mapping[str, Clause | None]) -> Clause:
    """The type has a schema that matches."""
    conditions = [clause for clause in used.values() if clause is not None]
    return sa.exists().where(t.c.block_type_id == block_type.c.id, *conditions)


TYPES.relate({"block_schemas": SCHEMA_FILTER}, _of_type)

__all__ = ["SCHEMAS", "SCHEMA_FILTER"]
