"""The default result storage of the server, a block document: it is forgotten when its document goes."""

from __future__ import annotations

import sqlalchemy as sa

from prefect_kernel.sql import Call, Statement, json_value
from prefect_kernel.sql.types import UUID

from ..configuration.tables import configuration
from .tables import block_document

KEY = "server-default-result-storage"

_IS_SET = configuration.c.key == KEY
_STORAGE = json_value(configuration.c.value, "default_result_storage_block_id")
_OF_DOCUMENT = Statement(
    sa.delete(configuration).where(_IS_SET, _STORAGE.in_([sa.bindparam("document_id", type_=sa.Text())]))
)


def _of_documents(column: sa.Column) -> Statement:
    documents = sa.select(sa.cast(block_document.c.id, sa.Text)).where(column == sa.bindparam("of", type_=UUID()))
    return Statement(sa.delete(configuration).where(_IS_SET, _STORAGE.in_(documents)))


_OF_TYPE, _OF_SCHEMA = _of_documents(block_document.c.block_type_id), _of_documents(block_document.c.block_schema_id)


def forget_document(id: str) -> Call:
    """The write that unsets the default when it is this document."""
    return _OF_DOCUMENT(document_id=id)


def forget_type(id: str) -> Call:
    """The write that unsets the default when it is a document of this type; to be done before the deletion."""
    return _OF_TYPE(of=id)


def forget_schema(id: str) -> Call:
    """The write that unsets the default when it is a document of this schema; to be done before the deletion."""
    return _OF_SCHEMA(of=id)
