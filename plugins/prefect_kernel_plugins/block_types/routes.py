"""Routes of block types, in the reference's order: a wrong method is answered with the first one of its path."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from prefect_kernel import errors, web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement
from prefect_kernel.sql.paging import page_statement

from ..block_schemas import filters as _schema_filters  # noqa: F401 - adds its filter to lists of types
from ..blocks import builtin
from ..blocks.tables import block_type
from ..common.paging import checked_limit, listed_between, read_list
from . import queries
from .filters import TYPES
from .group import group
from .schemas import BlockTypeCreate, BlockTypeUpdate
from .wire import TYPE_COLUMNS, TYPE_WIRE

web.describe("BlockType", TYPE_WIRE)
BlockTypeList = listed_between("BlockTypeList", TYPES)


@lru_cache(64)
def page(shape: Shape) -> Statement:
    """One page of the types that match a shape, by name."""
    return page_statement(
        block_type, TYPE_COLUMNS, lambda types: types, TYPES.conditions(shape), (block_type.c.name, False)
    )


def _answer(request: web.Request, row: Any) -> web.Reply:
    if row is None:
        raise errors.NotFound("Block type not found")
    return web.raw(TYPE_WIRE.one(request.kernel.storage.dialect, row))


@group.post("/", body=BlockTypeCreate, status=201, permission="edit", response="BlockType")
async def create_block_type(request: web.Request, body: BlockTypeCreate) -> web.Reply:
    """Make a block type; its slug must be free."""
    if body.name.lower().startswith("prefect"):
        raise errors.Forbidden("Block type names beginning with 'Prefect' are reserved.")
    kernel = request.kernel
    try:
        row = await kernel.storage.write(queries.create, kernel, body, kernel.clock.now())
    except errors.UniqueViolation:
        raise errors.Conflict(f'Block type with name "{body.name}" already exists') from None
    kernel.events.committed()
    return web.raw(TYPE_WIRE.one(kernel.storage.dialect, row), 201)


@group.get("/{id:uuid}", permission="read", response="BlockType")
async def read_block_type_by_id(request: web.Request) -> web.Reply:
    """The block type with that id."""
    return _answer(request, await request.kernel.storage.read(queries.by_id, request.path["id"]))


@group.get("/slug/{slug}", permission="read", response="BlockType")
async def read_block_type_by_slug(request: web.Request) -> web.Reply:
    """The block type with that slug."""
    return _answer(request, await request.kernel.storage.read(queries.by_slug, request.path["slug"]))


@group.post("/filter", body=BlockTypeList, embed=True, permission="read", response="BlockType[]")
async def read_block_types(request: web.Request, body: Any) -> web.Reply:
    """The block types that match, by name."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(TYPES.take(body, params))
    kernel = request.kernel
    return web.raw(await kernel.storage.read(read_list, kernel, TYPE_WIRE, statement, params))


@group.patch("/{id:uuid}", body=BlockTypeUpdate, status=204, permission="edit")
async def update_block_type(request: web.Request, body: BlockTypeUpdate) -> web.Reply:
    """Change the members that are given."""
    kernel = request.kernel
    changes = {name: getattr(body, name) for name in queries.UPDATABLE if name in body.model_fields_set}
    if not await kernel.storage.write(queries.update, kernel, request.path["id"], changes, kernel.clock.now()):
        raise errors.NotFound("Block type not found")
    kernel.events.committed()
    return web.no_content()


@group.delete("/{id:uuid}", status=204, permission="edit")
async def delete_block_type(request: web.Request) -> web.Reply:
    """Delete a block type, and with it its schemas and documents."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.delete, kernel, request.path["id"], kernel.clock.now()):
        raise errors.NotFound("Block type not found")
    kernel.events.committed()
    return web.no_content()


@group.post("/install_system_block_types", permission="edit")
async def install_system_block_types(request: web.Request) -> web.Reply:
    """Put the protected block types back to what they were when the server was installed."""
    kernel = request.kernel
    await kernel.storage.write(builtin.install_protected, kernel.clock.now())
    return web.json(None)
