"""Routes of the documents of a block type."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors, web
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID

from ..block_documents import tree
from ..block_documents.schemas import Secrets
from ..blocks.tables import block_document as t
from . import queries
from .group import group

_OF_TYPE = Statement(
    sa.select(t.c.id)
    .where(t.c.block_type_id == sa.bindparam("type_id", type_=UUID()), t.c.is_anonymous.is_(sa.false()))
    .order_by(t.c.name),
    raw=True,
)


def of_type(kernel: Any, slug: str, include_secrets: bool) -> Unit[str | None]:
    """The documents of a type that are not anonymous, as a JSON array; None when there is no such type."""
    row = yield from queries.by_slug(slug)
    if row is None:
        return None
    return (yield from tree.page(kernel, _OF_TYPE, {"type_id": str(row[0])}, include_secrets))


@group.get("/slug/{slug}/block_documents", permission="read", query=Secrets, response="BlockDocument[]")
async def read_block_documents_for_block_type(request: web.Request) -> web.Reply:
    """The documents of a block type, by name."""
    if request.query.include_secrets:
        request.require("run")
    kernel = request.kernel
    found = await kernel.storage.read(of_type, kernel, request.path["slug"], request.query.include_secrets)
    if found is None:
        raise errors.NotFound("Block type not found")
    return web.raw(found.encode())


@group.get(
    "/slug/{slug}/block_documents/name/{block_document_name}",
    permission="read",
    query=Secrets,
    response="BlockDocument",
)
async def read_block_document_by_name_for_block_type(request: web.Request) -> web.Reply:
    """The document of that name of a block type."""
    if request.query.include_secrets:
        request.require("run")
    kernel, path = request.kernel, request.path
    found = await kernel.storage.read(
        tree.by_name, kernel, path["slug"], path["block_document_name"], request.query.include_secrets
    )
    if found is None:
        raise errors.NotFound("Block document not found")
    return web.raw(found.encode())
