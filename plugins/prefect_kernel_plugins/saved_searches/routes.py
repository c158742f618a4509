"""Routes of saved searches."""

from __future__ import annotations

from typing import Any

from prefect_kernel import errors, web

from ..common.paging import Listed, checked_limit, read_list
from . import queries
from .queries import WIRE
from .schemas import SavedSearchCreate

group = web.Group("SavedSearches", prefix="/saved_searches")
web.describe("SavedSearch", WIRE)


@group.put("/", permission="edit", body=SavedSearchCreate, status=(200, 201), response="SavedSearch")
async def create_saved_search(request: web.Request, body: SavedSearchCreate) -> web.Reply:
    """Save a search; one of that name is replaced."""
    storage = request.kernel.storage
    row, created = await storage.write(queries.save, body, request.kernel.clock.now())
    return web.raw(WIRE.one(storage.dialect, row), 201 if created else 200)


@group.get("/{id:uuid}", permission="read", response="SavedSearch")
async def read_saved_search(request: web.Request) -> web.Reply:
    """The saved search with that id."""
    storage = request.kernel.storage
    row = await storage.read(queries.by_id, request.path["id"])
    if row is None:
        raise errors.NotFound("Saved search not found")
    return web.raw(WIRE.one(storage.dialect, row))


@group.post("/filter", body=Listed, embed=True, permission="read", response="SavedSearch[]")
async def read_saved_searches(request: web.Request, body: Any) -> web.Reply:
    """Saved searches by name."""
    kernel = request.kernel
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    return web.raw(await kernel.storage.read(read_list, kernel, WIRE, queries.PAGE, params))


@group.delete("/{id:uuid}", permission="edit", status=204)
async def delete_saved_search(request: web.Request) -> web.Reply:
    """Delete a saved search."""
    if not await request.kernel.storage.write(queries.delete, request.path["id"]):
        raise errors.NotFound("Saved search not found")
    return web.no_content()
