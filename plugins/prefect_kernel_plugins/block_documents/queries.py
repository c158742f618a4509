"""Making, changing and deleting block documents."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import ValidationError

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.types import UUID, Timestamp

from ..blocks import default_storage
from ..blocks.encryption import UndecryptableError, cipher_for_writing, fresh_cipher
from ..blocks.obfuscation import restored
from ..blocks.tables import block_document as t
from ..blocks.tables import block_document_reference as ref
from ..blocks.tables import block_schema, block_type
from ..common.lifecycle import lifecycle_event
from . import tree
from .schemas import BlockDocumentCreate, BlockDocumentReferenceCreate, BlockDocumentUpdate

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_TYPE_NAME = Statement(sa.select(block_type.c.name).where(block_type.c.id == sa.bindparam("id", type_=UUID())))
_EXISTS = Statement(
    sa.select(t.c.id).where(
        t.c.block_type_id == sa.bindparam("type_id", type_=UUID()), t.c.name == sa.bindparam("its_name")
    )
)
_FACTS = Statement(
    sa.select(t.c.data, t.c.block_type_id, t.c.block_schema_id)
    .where(t.c.id == sa.bindparam("id", type_=UUID()))
    .with_for_update()
)
_SCHEMA_TYPE = Statement(
    sa.select(block_schema.c.block_type_id).where(block_schema.c.id == sa.bindparam("id", type_=UUID()))
)
_INSERT = Statement(sa.insert(t).values({c.name: sa.bindparam(c.name, type_=c.type) for c in t.columns}))
_UPDATE = Statement(
    sa.update(t)
    .values(
        data=sa.bindparam("new_data", type_=t.c.data.type),
        block_schema_id=sa.bindparam("new_schema_id", type_=UUID()),
        updated=sa.bindparam("now", type_=Timestamp()),
    )
    .where(t.c.id == sa.bindparam("document_id", type_=UUID()))
)
_DELETE = Statement(sa.delete(t).where(t.c.id == sa.bindparam("id", type_=UUID())))
_INSERT_REFERENCE = Statement(sa.insert(ref).values({c.name: sa.bindparam(c.name, type_=c.type) for c in ref.columns}))
_DELETE_REFERENCES = Statement(
    sa.delete(ref).where(ref.c.parent_block_document_id == sa.bindparam("parent", type_=UUID()))
)
_CHILDREN = Statement(
    sa.select(ref.c.reference_block_document_id).where(in_list(ref.c.parent_block_document_id, "ids"))
)


def _separated(data: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Data without the references to other documents in it, and those. Raises BadRequest for what is no reference."""
    own, references = {}, []
    for key, value in data.items():
        if not isinstance(value, dict) or "$ref" not in value:
            own[key] = value
            continue
        target = value["$ref"].get("block_document_id") if isinstance(value["$ref"], dict) else None
        if target is None:
            raise errors.BadRequest(f"Received block reference without a block_document_id in key {key}")
        try:
            checked = BlockDocumentReferenceCreate(reference_block_document_id=target)
        except ValidationError as error:
            raise errors.BadRequest(str(error)) from None
        references.append((key, str(checked.reference_block_document_id)))
    return own, references


def _refer(parent: str, references: list[tuple[str, str]], now: datetime) -> Unit[None]:
    if references:
        yield _INSERT_REFERENCE.many(
            [
                {
                    "id": uuid4(),
                    "created": now,
                    "updated": now,
                    "name": name,
                    "parent_block_document_id": parent,
                    "reference_block_document_id": target,
                }
                for name, target in references
            ]
        )


def _event(kernel: Kernel, action: str, id: str, facts: dict[str, Any], now: datetime) -> Unit[None]:
    event = lifecycle_event("block-document", action, id, facts["payload"]["name"], facts["payload"], now)
    of_type = {"prefect.resource.id": f"prefect.block-type.{facts['type_id']}", "prefect.resource.role": "block-type"}
    if facts["type_name"]:
        of_type["prefect.resource.name"] = facts["type_name"]
    of_schema = {
        "prefect.resource.id": f"prefect.block-schema.{facts['schema_id']}",
        "prefect.resource.role": "block-schema",
    }
    yield from kernel.events.put({**event, "related": [of_type, of_schema]})


def create(kernel: Kernel, body: BlockDocumentCreate, now: datetime) -> Unit[str]:
    """Make a document; it as JSON. Raises Conflict when its name is taken."""
    type_id = str(body.block_type_id)
    if body.name is not None and (yield _EXISTS(type_id=type_id, its_name=body.name)):
        raise errors.Conflict("Block already exists")
    types = yield _TYPE_NAME(id=type_id)
    if not types:
        raise errors.NotFound(f"Block type {type_id} not found")
    own, references = _separated(body.data)
    encryption = yield from cipher_for_writing(kernel, now)
    id = uuid4()
    yield _INSERT(
        id=id,
        created=now,
        updated=now,
        name=body.name or f"anonymous-{uuid4()}",
        data=encryption.encrypt(own),
        block_schema_id=str(body.block_schema_id),
        block_type_id=type_id,
        is_anonymous=body.is_anonymous,
        block_type_name=types[0][0],
    )
    yield from _refer(id, references, now)
    documents = yield from tree.load(kernel, [id])
    text = documents.text(id)
    if not body.is_anonymous:
        yield from _event(kernel, "created", id, documents.event(id), now)
    return text


def update(kernel: Kernel, id: str, body: BlockDocumentUpdate, now: datetime) -> Unit[bool]:
    """Change a document; False when there is none.

    References that are not in the new data are gone, also where data is merged: that is so in the reference too.
    """
    rows = yield _FACTS(id=id)
    if not rows:
        return False
    stored, type_id, schema_id = rows[0]
    if "data" in body.model_fields_set or not body.merge_existing_data:
        own, references = _separated((yield from _new_data(kernel, stored, str(schema_id), body, now)))
        proposed = str(body.block_schema_id or schema_id)
        if proposed != str(schema_id):
            yield from _check_schema(proposed, str(type_id))
        encryption = yield from cipher_for_writing(kernel, now)
        yield _UPDATE(document_id=id, new_data=encryption.encrypt(own), new_schema_id=proposed, now=now)
        for _, target in references:
            if (yield from _reaches(target, id)):
                raise errors.BadRequest(
                    "Cannot create block document reference: it would introduce a cycle into the"
                    f" block_document_reference graph (parent={id}, reference={target})."
                )
        yield _DELETE_REFERENCES(parent=id)
        yield from _refer(id, references, now)
    documents = yield from tree.load(kernel, [id])
    facts = documents.event(id)
    if not documents.is_anonymous(id):
        yield from _event(kernel, "updated", id, facts, now)
    return True


def _new_data(
    kernel: Kernel, stored: Any, schema_id: str, body: BlockDocumentUpdate, now: datetime
) -> Unit[dict[str, Any]]:
    """The data that a document is to have: hidden secrets that come back stand for what is stored."""
    encryption = yield from cipher_for_writing(kernel, now)
    try:
        current = encryption.decrypt(stored)
    except UndecryptableError:
        fresh = yield from fresh_cipher(kernel)
        if fresh is None:
            raise
        current = fresh.decrypt(stored)
    schemas = yield from tree.schemas_tree.load(kernel.storage.dialect, [schema_id])
    try:
        given = restored(body.data, current, schemas.secrets(schema_id))
    except KeyError as error:
        raise errors.BadRequest(f"Nothing is stored for the hidden value {'.'.join(error.args[0])!r}.") from None
    return {**current, **given} if body.merge_existing_data else given


def _check_schema(proposed: str, type_id: str) -> Unit[None]:
    rows = yield _SCHEMA_TYPE(id=proposed)
    if not rows:
        raise errors.NotFound(f"Block schema {proposed} not found")
    if str(rows[0][0]) != type_id:
        raise errors.BadRequest("Must migrate block document to a block schema of the same block type.")


def _reaches(start: str, end: str) -> Unit[bool]:
    """Whether a document is `start` or nested in it."""
    seen, level = {start}, [start]
    while level:
        if end in level:
            return True
        rows = yield _CHILDREN(ids=level)
        level = [child for child in dict.fromkeys(str(row[0]) for row in rows) if child not in seen]
        seen.update(level)
    return False


def delete(kernel: Kernel, id: str, now: datetime) -> Unit[bool]:
    """Delete a document; False when there is none."""
    documents = yield from tree.load(kernel, [id])
    if id not in documents.rows:
        return False
    facts, anonymous = documents.event(id), documents.is_anonymous(id)
    yield _DELETE(id=id)
    yield default_storage.forget_document(id)
    if not anonymous:
        yield from _event(kernel, "deleted", id, facts, now)
    return True
