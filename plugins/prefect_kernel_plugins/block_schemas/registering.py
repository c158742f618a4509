"""Making a block schema, and those nested in it that are not there yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import UUID
from prefect_kernel.wire import json_text

from ..blocks import checksums
from ..blocks.tables import block_schema as t
from ..blocks.tables import block_schema_reference as ref
from ..blocks.tables import block_type
from . import tree
from .schemas import NO_VERSION, BlockSchemaCreate

_TYPE_EXISTS = Statement(sa.select(block_type.c.id).where(block_type.c.id == sa.bindparam("id", type_=UUID())))
_TYPE_BY_SLUG = Statement(
    sa.select(block_type.c.id, block_type.c.name).where(block_type.c.slug == sa.bindparam("slug"))
)
_CHECKSUM = t.c.checksum == sa.bindparam("checksum")
_NEWEST = Statement(sa.select(t.c.id).where(_CHECKSUM).order_by(t.c.created.desc()).limit(1))
_OF_VERSION = Statement(sa.select(t.c.id).where(_CHECKSUM, t.c.version == sa.bindparam("version")))
_INSERT = Statement(sa.insert(t).values({c.name: sa.bindparam(c.name, type_=c.type) for c in t.columns}))
_INSERT_REFERENCE = Statement(sa.insert(ref).values({c.name: sa.bindparam(c.name, type_=c.type) for c in ref.columns}))
_REFERENCE_EXISTS = Statement(
    sa.select(ref.c.id).where(
        ref.c.name == sa.bindparam("its_name"),
        ref.c.parent_block_schema_id == sa.bindparam("parent", type_=UUID()),
        ref.c.reference_block_schema_id == sa.bindparam("child", type_=UUID()),
    )
)


def id_by_checksum(checksum: str, version: str | None) -> Unit[str | None]:
    """The id of the schema with a checksum: of a version, or the newest."""
    if version is None:
        rows = yield _NEWEST(checksum=checksum)
    else:
        rows = yield _OF_VERSION(checksum=checksum, version=version)
    return rows[0][0] if rows else None


@point_read
def by_checksum(dialect: str, checksum: str, version: str | None) -> Unit[str | None]:
    """A schema as JSON, or None."""
    id = yield from id_by_checksum(checksum, version)
    if id is None:
        return None
    return (yield from tree.load(dialect, [str(id)])).text(str(id))


def create(dialect: str, body: BlockSchemaCreate, now: datetime) -> Unit[tuple[str, bool]]:
    """Make a schema; it as JSON, and whether it is new."""
    if not (yield _TYPE_EXISTS(id=str(body.block_type_id))):
        raise errors.NotFound(f"Block type {body.block_type_id} not found.")
    existing = yield from id_by_checksum(checksums.checksum(body.fields), body.version)
    if existing is not None:
        return (yield from tree.load(dialect, [str(existing)])).text(str(existing)), False
    maker = _Maker(now, body.fields.get("definitions"))
    id = yield from maker.make(body.fields, str(body.block_type_id), body.capabilities, body.version)
    schemas = yield from tree.load(dialect, [id])
    shown = {**schemas.stored_fields(id), "block_schema_references": body.fields.get("block_schema_references", {})}
    if maker.definitions is not None:
        shown["definitions"] = maker.definitions
    return schemas.text(id, json_text(shown)), True


class _Maker:
    """Makes one schema and what is nested in it; everything it makes has a time of its own."""

    def __init__(self, now: datetime, definitions: Any) -> None:
        self._times = (now + timedelta(microseconds=n) for n in count())
        self.definitions = definitions

    def _new(self) -> dict[str, Any]:
        when = next(self._times)
        return {"id": uuid4(), "created": when, "updated": when}

    def make(self, given: dict[str, Any], type_id: str, capabilities: list[str], version: str) -> Unit[str]:
        """The id of the schema with these fields, which is made if need be."""
        fields, definitions = dict(given), self.definitions
        if definitions:
            fields["definitions"] = definitions
        checksum = checksums.checksum(fields)
        existing = yield from id_by_checksum(checksum, version)
        if existing is not None:
            return str(existing)
        if definitions:
            # Definitions of blocks are not stored: they are put together when the schema is read.
            plain = checksums.plain_definitions(fields, definitions)
            if plain:
                fields["definitions"] = plain
            else:
                del fields["definitions"]
        references = fields.pop("block_schema_references", {})
        row = {
            **self._new(),
            "fields": fields,
            "block_type_id": type_id,
            "checksum": checksum,
            "capabilities": capabilities,
            "version": version,
        }
        yield _INSERT.bind(row)
        for name, reference in _entries(references):
            child = yield from self._nested(fields, name, reference)
            if not (yield _REFERENCE_EXISTS(its_name=name, parent=row["id"], child=child)):
                yield _INSERT_REFERENCE.bind(
                    {
                        **self._new(),
                        "name": name,
                        "parent_block_schema_id": row["id"],
                        "reference_block_schema_id": child,
                    }
                )
        return str(row["id"])

    def _nested(self, parent: dict[str, Any], name: str, reference: dict[str, Any]) -> Unit[str]:
        """The id of a schema that a field of `parent` refers to, which is made from its definition if need be."""
        slug, checksum = reference["block_type_slug"], reference["block_schema_checksum"]
        types = (yield _TYPE_BY_SLUG(slug=slug)) if isinstance(slug, str) else []
        if not types:
            raise errors.Conflict(
                f"Cannot create block schema because block type {slug!r} was not found.Did you forget to register the"
                " block type?"
            )
        existing = (yield from id_by_checksum(checksum, None)) if isinstance(checksum, str) else None
        if existing is not None:
            return str(existing)
        if self.definitions is None:
            raise errors.BadRequest(
                "Unable to create nested block schema due to missing definitions in root block schema fields"
            )
        type_id, type_name = types[0]
        fields = _definition(self.definitions, parent, name, slug)
        if fields is None:
            raise errors.BadRequest(
                f"Unable to create nested block schema for block type {type_name!r} due to missing definition."
            )
        return (yield from self.make(fields, str(type_id), [], NO_VERSION))


def _entries(references: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(field, reference to a schema) for each reference; raises BadRequest for what is none."""
    if not isinstance(references, dict):
        raise errors.BadRequest("The block schema's 'block_schema_references' must be an object.")
    for name, given in references.items():
        for entry in given if isinstance(given, list) else [given]:
            if not isinstance(entry, dict) or "block_type_slug" not in entry:
                raise errors.BadRequest(f"The block schema's reference {name!r} needs a 'block_type_slug'.")
            yield name, {"block_schema_checksum": None, **entry}


def _definition(definitions: Any, parent: dict[str, Any], name: str, slug: str) -> dict[str, Any] | None:
    """The fields of the schema that a field of `parent` refers to, by its type where it may be of several."""
    properties = parent.get("properties")
    if not isinstance(definitions, dict) or not isinstance(properties, dict) or name not in properties:
        return None
    keys = [checksums.definition_key(found) for found in checksums.references(properties[name]) if _is_text(found)]
    found = [definitions.get(key) for key in keys]
    if len(found) != 1:
        found = [one for one in found if isinstance(one, dict) and one.get("block_type_slug") == slug]
    return found[0] if found and isinstance(found[0], dict) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
