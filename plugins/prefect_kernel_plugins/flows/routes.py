"""Routes of single flows.

They are declared in the reference's order: a wrong method is answered with the first one of its path.
"""

from __future__ import annotations

from prefect_kernel import errors, web

from . import queries
from .group import group
from .schemas import FlowCreate, FlowUpdate
from .wire import FLOW_WIRE

web.describe("Flow", FLOW_WIRE)


@group.post("/", permission="run", body=FlowCreate, status=(201, 200), response="Flow")
async def create_flow(request: web.Request, body: FlowCreate) -> web.Reply:
    """Register a flow; a flow of that name that exists already is answered with 200."""
    kernel = request.kernel
    row, created = await kernel.storage.write(queries.create, kernel, body, kernel.clock.now())
    if created:
        kernel.events.committed()
    return web.raw(FLOW_WIRE.one(kernel.storage.dialect, row), 201 if created else 200)


@group.patch("/{id:uuid}", permission="edit", body=FlowUpdate, status=204)
async def update_flow(request: web.Request, body: FlowUpdate) -> web.Reply:
    """Change a flow's tags."""
    kernel = request.kernel
    tags = body.tags if "tags" in body.model_fields_set else None
    if not await kernel.storage.write(queries.update, kernel, request.path["id"], tags, kernel.clock.now()):
        raise errors.NotFound("Flow not found")
    kernel.events.committed()
    return web.no_content()


@group.get("/name/{name}", permission="read", response="Flow")
async def read_flow_by_name(request: web.Request) -> web.Reply:
    """The flow of that name."""
    kernel = request.kernel
    row = await kernel.storage.read(queries.by_name, request.path["name"])
    if row is None:
        raise errors.NotFound("Flow not found")
    return web.raw(FLOW_WIRE.one(kernel.storage.dialect, row))


@group.get("/{id:uuid}", permission="read", response="Flow")
async def read_flow(request: web.Request) -> web.Reply:
    """The flow with that id."""
    kernel = request.kernel
    row = await kernel.storage.read(queries.by_id, request.path["id"])
    if row is None:
        raise errors.NotFound("Flow not found")
    return web.raw(FLOW_WIRE.one(kernel.storage.dialect, row))


@group.delete("/{id:uuid}", permission="edit", status=204)
async def delete_flow(request: web.Request) -> web.Reply:
    """Delete a flow, and with it its runs and deployments."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.delete, kernel, request.path["id"], kernel.clock.now()):
        raise errors.NotFound("Flow not found")
    kernel.events.committed()
    return web.no_content()
