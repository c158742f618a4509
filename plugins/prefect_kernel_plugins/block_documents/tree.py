"""Documents with those nested in them, loaded level by level, decrypted, and put together as clients see them.

A document's data is stored without the documents in it; `block_document_reference` says which document is meant by
which of its members. Clients see the data of nested documents in their place.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Statement, Unit, in_list, point_read
from prefect_kernel.sql.types import UUID, json_from_text
from prefect_kernel.wire import Field, Wire, json_text, quote

from ..block_schemas import tree as schemas_tree
from ..block_schemas.tree import as_is
from ..block_types.wire import TYPE_COLUMNS, TYPE_WIRE
from ..blocks.encryption import Cipher, UndecryptableError, cipher, fresh_cipher
from ..blocks.obfuscation import hidden
from ..blocks.tables import block_document as t
from ..blocks.tables import block_document_reference as ref
from ..blocks.tables import block_type

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

MAX_DEPTH = 50
"""Levels of nesting."""

_OWN = [
    t.c.id,
    t.c.created,
    t.c.updated,
    t.c.name,
    t.c.data,
    t.c.block_schema_id,
    t.c.block_type_id,
    t.c.block_type_name,
    t.c.is_anonymous,
]
_NAME, _DATA, _SCHEMA, _TYPE_NAME, _ANONYMOUS = 3, 4, 5, 7, 8
_TYPE = slice(len(_OWN), len(_OWN) + len(TYPE_COLUMNS))


@lru_cache(8)
def _statement(*conditions: sa.ColumnElement[bool]) -> Statement:
    """The documents that fulfil conditions, a row for each reference to another document, and one if there is none."""
    return Statement(
        sa.select(*_OWN, *TYPE_COLUMNS, ref.c.name, ref.c.reference_block_document_id)
        .select_from(
            t.join(block_type, block_type.c.id == t.c.block_type_id).outerjoin(
                ref, ref.c.parent_block_document_id == t.c.id
            )
        )
        .where(*conditions),
        raw=True,
    )


_BY_IDS = _statement(in_list(t.c.id, "ids"))
_BY_ID = _statement(t.c.id == sa.bindparam("id", type_=UUID()))
_BY_NAME = _statement(t.c.name == sa.bindparam("its_name"), block_type.c.slug == sa.bindparam("slug"))

DOCUMENT_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("data", as_is),
        Field("block_schema_id", "word"),
        Field("block_schema", as_is),
        Field("block_type_id", "word"),
        Field("block_type_name", "text"),
        Field("block_type", as_is),
        Field("block_document_references", as_is),
        Field("is_anonymous", "bool"),
    ]
)


class Documents:
    """Some documents, and all that are nested in them."""

    def __init__(self, dialect: str, include_secrets: bool) -> None:
        self.dialect, self.include_secrets = dialect, include_secrets
        self.schemas = schemas_tree.Schemas(dialect)
        self.rows: dict[str, Any] = {}
        self._edges: dict[str, dict[str, str]] = {}
        self._decrypted: dict[str, dict[str, Any]] = {}
        self._types: dict[str, str] = {}
        self._now = datetime.now(UTC)

    def add(self, rows: Iterable[Any]) -> list[str]:
        """Take rows; the ids of the documents nested in them that were not seen before."""
        missing: dict[str, None] = {}
        for row in rows:
            id = str(row[0])
            self.rows.setdefault(id, row)
            if row[-1] is not None:
                child = str(row[-1])
                self._edges.setdefault(id, {})[row[-2]] = child
                missing[child] = None
        return [child for child in missing if child not in self.rows]

    def decrypt(self, with_: Cipher | None) -> None:
        """Decrypt the data of all documents. Raises UndecryptableError."""
        for id, row in self.rows.items():
            stored = json_from_text(row[_DATA])
            if with_ is None or not isinstance(stored, str):
                raise UndecryptableError
            self._decrypted[id] = with_.decrypt(stored)

    def data(self, id: str, depth: int = 0) -> dict[str, Any]:
        """The data of a document with that of those nested in it. Raises BadRequest for too many levels."""
        if depth > MAX_DEPTH:
            raise errors.BadRequest(
                f"Block document reference graph exceeds max depth {MAX_DEPTH}; refusing to recurse further."
            )
        own = self._decrypted[id]
        if not self.include_secrets:
            own = hidden(own, self.schemas.secrets(str(self.rows[id][_SCHEMA])))
        edges = self._edges.get(id)
        return {**own, **{name: self.data(child, depth + 1) for name, child in edges.items()}} if edges else own

    def schema_id(self, id: str) -> str:
        """The id of a document's schema."""
        return str(self.rows[id][_SCHEMA])

    def is_anonymous(self, id: str) -> bool:
        """Whether a document is anonymous; nothing is told about those."""
        return bool(self.rows[id][_ANONYMOUS])

    def event(self, id: str) -> dict[str, Any]:
        """What the events of a document tell of it (`payload`, `type_id`, `schema_id`, `type_name`)."""
        row, schema_id, type_id = self.rows[id], self.schema_id(id), str(self.rows[id][6])
        given = self.schemas.stored_fields(schema_id).get("secret_fields")
        secrets = {name for name in given if isinstance(name, str)} if isinstance(given, list) else set()
        payload = {
            "name": row[_NAME],
            "data": {
                name: value for name, value in self.data(id).items() if name not in secrets and isinstance(value, str)
            },
            "block_schema": {
                "capabilities": self.schemas.capabilities(schema_id),
                "block_type": {"id": type_id, "name": row[_TYPE_NAME] or ""},
            },
        }
        return {"payload": payload, "type_id": type_id, "schema_id": schema_id, "type_name": row[_TYPE_NAME]}

    def _type(self, row: Any) -> str:
        id = str(row[_TYPE.start])
        text = self._types.get(id)
        if text is None:
            text = self._types[id] = TYPE_WIRE.encoder(self.dialect)(row[_TYPE], self._now)
        return text

    def _references(self, id: str) -> str:
        """The documents that are nested in one, as JSON."""
        members = []
        for name, child in self._edges.get(id, {}).items():
            row = self.rows[child]
            members.append(
                f'{quote(name)}:{{"block_document":{{"id":"{child}","name":{quote(row[_NAME])},'
                f'"block_type":{self._type(row)},"is_anonymous":{"true" if row[_ANONYMOUS] else "false"},'
                f'"block_document_references":{self._references(child)}}}}}'
            )
        return f"{{{','.join(members)}}}"

    def text(self, id: str) -> str:
        """A document as JSON."""
        row = self.rows[id]
        cells = [
            *row[:_DATA],
            json_text(self.data(id)),
            row[_SCHEMA],
            self.schemas.text(str(row[_SCHEMA])),
            row[6],
            row[_TYPE_NAME],
            self._type(row),
            self._references(id),
            row[_ANONYMOUS],
        ]
        return DOCUMENT_WIRE.encoder(self.dialect)(cells, self._now)


def _load(kernel: Kernel, first: Any, include_secrets: bool) -> Unit[Documents]:
    """The documents that a call finds, and all that are nested in them."""
    dialect = kernel.storage.dialect
    documents = Documents(dialect, include_secrets)
    missing = documents.add((yield first))
    while missing:
        missing = documents.add((yield _BY_IDS(ids=missing)))
    if documents.rows:
        ids = dict.fromkeys(documents.schema_id(id) for id in documents.rows)
        documents.schemas = yield from schemas_tree.load(dialect, ids)
        try:
            documents.decrypt((yield from cipher(kernel)))
        except UndecryptableError:
            documents.decrypt((yield from fresh_cipher(kernel)))
    return documents


def load(kernel: Kernel, ids: list[str], include_secrets: bool = False) -> Unit[Documents]:
    """The documents with these ids (those that there are), and all that are nested in them."""
    return (yield from _load(kernel, _BY_IDS(ids=ids), include_secrets))


@point_read
def by_id(kernel: Kernel, id: str, include_secrets: bool) -> Unit[str | None]:
    """A document as JSON, or None."""
    documents = yield from _load(kernel, _BY_ID(id=id), include_secrets)
    return documents.text(id) if documents.rows else None


@point_read
def by_name(kernel: Kernel, slug: str, name: str, include_secrets: bool) -> Unit[str | None]:
    """The document of that name, of the type with that slug, as JSON, or None."""
    documents = yield from _load(kernel, _BY_NAME(its_name=name, slug=slug), include_secrets)
    return documents.text(next(iter(documents.rows))) if documents.rows else None


def page(kernel: Kernel, statement: Statement, params: dict[str, object], include_secrets: bool) -> Unit[str]:
    """The documents that a statement finds the ids of, as a JSON array."""
    rows = yield statement.bind(params)
    ids = [str(row[0]) for row in rows]
    documents = yield from load(kernel, ids, include_secrets)
    return f"[{','.join([documents.text(id) for id in ids if id in documents.rows])}]"
