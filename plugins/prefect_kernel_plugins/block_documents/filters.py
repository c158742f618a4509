"""What lists of block documents can be filtered by; without a filter, anonymous ones are left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from pydantic import create_model

from prefect_kernel.filtering import Clause, FilterModel, Flag, Node, Subject

from ..block_schemas.filters import SCHEMA_FILTER
from ..block_types.filters import TYPE_FILTER
from ..blocks.tables import block_document as t
from ..blocks.tables import block_schema, block_type
from ..common.filters import ids, names


class _DocumentNode(Node):
    """A filter whose `is_anonymous` is `{"eq_": false}` unless it is given, be it as null."""

    _with_default: type[FilterModel] | None = None

    @property
    def model(self) -> type[FilterModel]:
        if self._with_default is None:
            anonymous = self.members["is_anonymous"]
            assert isinstance(anonymous, Node)
            default: Any = anonymous.model
            named: Any = (anonymous.model | None, default(eq_=False))
            self._with_default = create_model(self.title, __base__=super().model, is_anonymous=named)
        return self._with_default


DOCUMENT_FILTER = _DocumentNode(
    "BlockDocumentFilter",
    operator=True,
    id=ids(t.c.id, not_any=False),
    is_anonymous=Node(eq_=Flag(t.c.is_anonymous.is_(sa.true()), t.c.is_anonymous.is_(sa.false()))),
    block_type_id=ids(t.c.block_type_id, not_any=False),
    name=names(t.c.name),
)

DOCUMENTS = Subject("block_documents", DOCUMENT_FILTER, ["block_documents", "block_types", "block_schemas"])
"""Lists of block documents."""


def _of_type(used: Mapping[str, Clause | None]) -> Clause:
    return sa.exists().where(block_type.c.id == t.c.block_type_id, *(c for c in used.values() if c is not None))


def _of_schema(used: Mapping[str, Clause | None]) -> Clause:
    return sa.exists().where(block_schema.c.id == t.c.block_schema_id, *(c for c in used.values() if c is not None))


DOCUMENTS.relate({"block_types": TYPE_FILTER}, _of_type)
DOCUMENTS.relate({"block_schemas": SCHEMA_FILTER}, _of_schema)

__all__ = ["DOCUMENTS", "DOCUMENT_FILTER"]
