"""Schemas with those nested in them, loaded level by level and put together as clients see them.

A schema is stored without the definitions of the blocks in it; `block_schema_reference` says which schema is meant by
which of its fields. Clients see both: `block_schema_references`, and each nested schema in `definitions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.types import json_from_text
from prefect_kernel.wire import Field, Wire, json_text

from ..block_types.wire import TYPE_COLUMNS, TYPE_WIRE
from ..blocks.obfuscation import Path, secret_paths
from ..blocks.tables import block_schema as t
from ..blocks.tables import block_schema_reference as ref
from ..blocks.tables import block_type

MAX_DEPTH = 50
"""Levels of nesting."""

_OWN = [t.c.id, t.c.created, t.c.updated, t.c.checksum, t.c.fields, t.c.block_type_id, t.c.capabilities, t.c.version]
_CHECKSUM, _FIELDS, _CAPABILITIES = 3, 4, 6
_TYPE = slice(len(_OWN), len(_OWN) + len(TYPE_COLUMNS))
_SLUG = _TYPE.start + 4

_BY_IDS = Statement(
    sa.select(*_OWN, *TYPE_COLUMNS, ref.c.name, ref.c.reference_block_schema_id)
    .select_from(
        t.join(block_type, block_type.c.id == t.c.block_type_id).outerjoin(ref, ref.c.parent_block_schema_id == t.c.id)
    )
    .where(in_list(t.c.id, "ids")),
    raw=True,
)


def as_is(text: str) -> str:
    """JSON text that a member was given as."""
    return text


SCHEMA_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("checksum", "text"),
        Field("fields", as_is),
        Field("block_type_id", "word"),
        Field("block_type", as_is),
        Field("capabilities", "json"),
        Field("version", "text"),
    ]
)


@lru_cache(128)
def _parsed(fields: str) -> tuple[dict[str, Any], list[Path]]:
    """Stored fields, and the paths of secrets in them. Schemas are few and never change; not to be written to."""
    found = json_from_text(fields)
    return found, secret_paths(found)


@lru_cache(128)
def _plain(fields: str) -> str:
    """The text of fields without nested schemas."""
    return json_text({**_parsed(fields)[0], "block_schema_references": {}})


class Schemas:
    """Some schemas, and all that are nested in them."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.rows: dict[str, Any] = {}
        self._edges: dict[str, list[tuple[str, str]]] = {}
        self._by_checksum: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._now = datetime.now(UTC)

    def add(self, rows: Iterable[Any]) -> list[str]:
        """Take rows; the ids of the schemas nested in them that were not seen before."""
        missing: dict[str, None] = {}
        for row in rows:
            id = str(row[0])
            self.rows.setdefault(id, row)
            if row[-1] is not None:
                child = str(row[-1])
                self._edges.setdefault(id, []).append((row[-2], child))
                missing[child] = None
        return [child for child in missing if child not in self.rows]

    def complete(self) -> None:
        """All were taken: what is nested in one is sorted by its creation."""
        for id, row in sorted(self.rows.items(), key=lambda item: item[1][1]):
            self._by_checksum.setdefault(row[_CHECKSUM], id)
        for edges in self._edges.values():
            edges.sort(key=lambda edge: self.rows[edge[1]][1])

    def secrets(self, id: str) -> list[Path]:
        """The paths of the secrets of documents of a schema."""
        return _parsed(self.rows[id][_FIELDS])[1]

    def stored_fields(self, id: str) -> dict[str, Any]:
        """The fields of a schema as they are stored; not to be written to."""
        return _parsed(self.rows[id][_FIELDS])[0]

    def capabilities(self, id: str) -> list[str]:
        """The capabilities of a schema."""
        found: list[str] = json_from_text(self.rows[id][_CAPABILITIES])
        return found

    def fields(self, id: str, depth: int = 0) -> dict[str, Any]:
        """The fields of a schema with everything that is nested in them."""
        if depth > MAX_DEPTH:
            raise errors.BadRequest(f"Block schemas are nested more than {MAX_DEPTH} levels deep.")
        references = self._references(id)
        fields = {**self.stored_fields(id), "block_schema_references": references}
        definitions: dict[str, Any] = {}
        for named in references.values():
            for reference in named if isinstance(named, list) else [named]:
                child = self.fields(self._by_checksum[reference["block_schema_checksum"]], depth + 1)
                if child.get("title") is not None:
                    inner = child.pop("definitions", {})
                    definitions = {**definitions, child["title"]: child, **inner}
        own = fields.get("definitions")
        if definitions or own:
            fields["definitions"] = {**(own if isinstance(own, dict) else {}), **definitions}
        return fields

    def _references(self, id: str) -> dict[str, Any]:
        """Which schemas are meant by which fields; a field that takes blocks of several types has a list."""
        found: dict[str, Any] = {}
        for name, child in self._edges.get(id, ()):
            row = self.rows[child]
            reference = {"block_schema_checksum": row[_CHECKSUM], "block_type_slug": row[_SLUG]}
            had = found.get(name)
            if had is None:
                found[name] = reference
            elif isinstance(had, list):
                if reference not in had:
                    had.append(reference)
            elif had != reference:
                found[name] = [had, reference]
        return found

    def text(self, id: str, fields: str | None = None) -> str:
        """A schema as JSON; `fields` are to be shown in place of its own."""
        text = self._texts.get(id)
        if text is None or fields is not None:
            row = self.rows[id]
            if fields is None:
                fields = json_text(self.fields(id)) if id in self._edges else _plain(row[_FIELDS])
            cells = list(row[: len(_OWN)])
            cells[_FIELDS] = fields
            cells.insert(_CAPABILITIES, TYPE_WIRE.encoder(self.dialect)(row[_TYPE], self._now))
            text = self._texts[id] = SCHEMA_WIRE.encoder(self.dialect)(cells, self._now)
        return text


def load(dialect: str, ids: Iterable[str]) -> Unit[Schemas]:
    """The schemas with these ids (those that there are), and all that are nested in them."""
    schemas = Schemas(dialect)
    missing = list(ids)
    while missing:
        missing = schemas.add((yield _BY_IDS(ids=missing)))
    schemas.complete()
    return schemas
