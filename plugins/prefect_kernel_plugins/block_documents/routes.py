"""Routes of block documents, in the reference's order: a wrong method is answered with the first one of its path."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors, web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement
from prefect_kernel.sql.paging import count_statement

from ..blocks.tables import block_document as t
from ..common.paging import Filtered, checked_limit, listed_between, read_number
from . import queries, tree
from .filters import DOCUMENT_FILTER, DOCUMENTS
from .group import group
from .schemas import BlockDocumentCreate, BlockDocumentUpdate, Secrets

web.describe("BlockDocument", tree.DOCUMENT_WIRE)


class BlockDocumentSort(str, Enum):
    """How lists of block documents can be sorted."""

    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"
    BLOCK_TYPE_AND_NAME_ASC = "BLOCK_TYPE_AND_NAME_ASC"


SORTS: dict[str, list[sa.ColumnElement[Any]]] = {
    "NAME_DESC": [t.c.name.desc()],
    "NAME_ASC": [t.c.name.asc()],
    "BLOCK_TYPE_AND_NAME_ASC": [t.c.block_type_name.asc(), t.c.name.asc()],
}


_Sort: Any = BlockDocumentSort | None
BlockDocumentList = listed_between(
    "BlockDocumentList", DOCUMENTS, include_secrets=(bool, False), sort=(_Sort, BlockDocumentSort.NAME_ASC)
)
BlockDocumentCount = DOCUMENTS.body("BlockDocumentCount", Filtered)


@lru_cache(128)
def page(shape: Shape, sort: str) -> Statement:
    """The ids of one page of the documents that match a shape."""
    bounds = {name: sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset")}
    select = sa.select(t.c.id).where(*DOCUMENTS.conditions(shape)).order_by(*SORTS[sort])
    return Statement(select.limit(bounds["limit"]).offset(bounds["offset"]), raw=True)


@lru_cache(128)
def count(shape: Shape) -> Statement:
    """The number of documents that match a shape."""
    return count_statement(t, DOCUMENTS.conditions(shape))


def shape_of(body: Any, params: dict[str, Any]) -> Shape:
    """The shape of a request's filters; without one for documents, anonymous ones are left out."""
    if body.block_documents is None:
        body.block_documents = DOCUMENT_FILTER.model()
    return DOCUMENTS.take(body, params)


@group.post("/", permission="edit", body=BlockDocumentCreate, status=201, response="BlockDocument")
async def create_block_document(request: web.Request, body: BlockDocumentCreate) -> web.Reply:
    """Save a block."""
    kernel = request.kernel
    document = await kernel.storage.write(queries.create, kernel, body, kernel.clock.now())
    kernel.events.committed()
    return web.raw(document.encode(), 201)


@group.post("/filter", body=BlockDocumentList, embed=True, permission="read", response="BlockDocument[]")
async def read_block_documents(request: web.Request, body: Any) -> web.Reply:
    """The block documents that match; secrets are shown to those who may run flows with them."""
    if body.include_secrets:
        request.require("run")
    params: dict[str, Any] = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(shape_of(body, params), body.sort.value)
    kernel = request.kernel
    found = await kernel.storage.read(tree.page, kernel, statement, params, body.include_secrets)
    return web.raw(found.encode())


@group.post("/count", body=BlockDocumentCount, embed=True, permission="read", response=int)
async def count_block_documents(request: web.Request, body: Any) -> web.Reply:
    """How many block documents match."""
    params: dict[str, Any] = {}
    statement = count(shape_of(body, params))
    return web.raw(await request.kernel.storage.read(read_number, statement, params))


@group.get("/{id:uuid}", permission="read", query=Secrets, response="BlockDocument")
async def read_block_document_by_id(request: web.Request) -> web.Reply:
    """The block document with that id; secrets are shown to those who may run flows with it."""
    if request.query.include_secrets:
        request.require("run")
    kernel = request.kernel
    found = await kernel.storage.read(tree.by_id, kernel, request.path["id"], request.query.include_secrets)
    if found is None:
        raise errors.NotFound("Block document not found")
    return web.raw(found.encode())


@group.delete("/{id:uuid}", permission="edit", status=204)
async def delete_block_document(request: web.Request) -> web.Reply:
    """Delete a block document."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.delete, kernel, request.path["id"], kernel.clock.now()):
        raise errors.NotFound("Block document not found")
    kernel.events.committed()
    return web.no_content()


@group.patch("/{id:uuid}", permission="edit", body=BlockDocumentUpdate, status=204)
async def update_block_document_data(request: web.Request, body: BlockDocumentUpdate) -> web.Reply:
    """Change a block document's data, or what it is a document of."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.update, kernel, request.path["id"], body, kernel.clock.now()):
        raise errors.NotFound("Block document not found")
    kernel.events.committed()
    return web.no_content()
