"""Routes of block schemas, in the reference's order: a wrong method is answered with the first one of its path."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from prefect_kernel import errors, web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement
from prefect_kernel.sql.paging import page_statement

from ..blocks.tables import block_schema as t
from ..common.paging import checked_limit, listed_between
from . import queries, registering
from .filters import SCHEMAS
from .group import group
from .schemas import BlockSchemaCreate, Version
from .tree import SCHEMA_WIRE

web.describe("BlockSchema", SCHEMA_WIRE)
BlockSchemaList = listed_between("BlockSchemaList", SCHEMAS)


@lru_cache(64)
def page(shape: Shape) -> Statement:
    """The ids of one page of the schemas that match a shape, the newest first."""
    return page_statement(t, [t.c.id], lambda schemas: schemas, SCHEMAS.conditions(shape), (t.c.created, True))


def _answer(schema: str | None) -> web.Reply:
    if schema is None:
        raise errors.NotFound("Block schema not found")
    return web.raw(schema.encode())


@group.post("/", body=BlockSchemaCreate, status=(201, 200), permission="edit", response="BlockSchema")
async def create_block_schema(request: web.Request, body: BlockSchemaCreate) -> web.Reply:
    """Make a block schema, and those nested in it; one that exists already is answered with 200."""
    storage = request.kernel.storage
    schema, created = await storage.write(registering.create, storage.dialect, body, request.kernel.clock.now())
    return web.raw(schema.encode(), 201 if created else 200)


@group.delete("/{id:uuid}", status=204, permission="edit")
async def delete_block_schema(request: web.Request) -> web.Reply:
    """Delete a block schema, and with it its documents."""
    if not await request.kernel.storage.write(queries.delete, request.path["id"]):
        raise errors.NotFound("Block schema not found")
    return web.no_content()


@group.post("/filter", body=BlockSchemaList, embed=True, permission="read", response="BlockSchema[]")
async def read_block_schemas(request: web.Request, body: Any) -> web.Reply:
    """The block schemas that match, the newest first."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(SCHEMAS.take(body, params))
    storage = request.kernel.storage
    return web.raw((await storage.read(queries.page, storage.dialect, statement, params)).encode())


@group.get("/{id:uuid}", permission="read", response="BlockSchema")
async def read_block_schema_by_id(request: web.Request) -> web.Reply:
    """The block schema with that id."""
    storage = request.kernel.storage
    return _answer(await storage.read(queries.by_id, storage.dialect, request.path["id"]))


@group.get("/checksum/{checksum}", permission="read", query=Version, response="BlockSchema")
async def read_block_schema_by_checksum(request: web.Request) -> web.Reply:
    """The newest block schema with that checksum, or that of a version."""
    storage, path = request.kernel.storage, request.path
    found = await storage.read(registering.by_checksum, storage.dialect, path["checksum"], request.query.version)
    return _answer(found)
