"""Routes of single deployments.

They are declared in the reference's order: a wrong method is answered with the first one of its path.
"""

from __future__ import annotations

from prefect_kernel import errors, web

from . import queries
from .group import group
from .schemas import DeploymentCreate, DeploymentUpdate
from .update import update
from .upsert import create
from .wire import DEPLOYMENT_WIRE

web.describe("DeploymentResponse", DEPLOYMENT_WIRE)


@group.post("/", body=DeploymentCreate, status=(201, 200), response="DeploymentResponse", permission="edit")
async def create_deployment(request: web.Request, body: DeploymentCreate) -> web.Reply:
    """Make a deployment (201), or set what is given in the one of that flow and name (200)."""
    kernel = request.kernel
    row, new = await kernel.storage.write(create, kernel, body, kernel.clock.now())
    kernel.events.committed()
    return web.raw(DEPLOYMENT_WIRE.one(kernel.storage.dialect, row), 201 if new else 200)


@group.patch("/{id:uuid}", body=DeploymentUpdate, status=204, permission="edit")
async def update_deployment(request: web.Request, body: DeploymentUpdate) -> web.Reply:
    """Change the members that are given."""
    kernel = request.kernel
    if not await kernel.storage.write(update, kernel, request.path["id"], body, kernel.clock.now()):
        raise errors.NotFound("Deployment not found.")
    kernel.events.committed()
    return web.no_content()


@group.get("/name/{flow_name}/{deployment_name}", permission="read", response="DeploymentResponse")
async def read_deployment_by_name(request: web.Request) -> web.Reply:
    """The deployment of that name of the flow of that name."""
    kernel, path = request.kernel, request.path
    row = await kernel.storage.read(queries.by_name, kernel, path["flow_name"], path["deployment_name"])
    if row is None:
        raise errors.NotFound("Deployment not found")
    return web.raw(DEPLOYMENT_WIRE.one(kernel.storage.dialect, row))


@group.get("/{id:uuid}", permission="read", response="DeploymentResponse")
async def read_deployment(request: web.Request) -> web.Reply:
    """The deployment with that id."""
    kernel = request.kernel
    row = await kernel.storage.read(queries.by_id, kernel, request.path["id"])
    if row is None:
        raise errors.NotFound("Deployment not found")
    return web.raw(DEPLOYMENT_WIRE.one(kernel.storage.dialect, row))


@group.delete("/{id:uuid}", status=204, permission="edit")
async def delete_deployment(request: web.Request) -> web.Reply:
    """Delete a deployment with its schedules, its limit, and its runs that have not begun."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.delete, kernel, [request.path["id"]], kernel.clock.now()):
        raise errors.NotFound("Deployment not found")
    kernel.events.committed()
    return web.no_content()


@group.post("/{id:uuid}/resume_deployment", permission="edit", response={"type": "null"})
async def resume_deployment(request: web.Request) -> web.Reply:
    """Let the schedules of a deployment make runs."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.resume, request.path["id"], kernel.clock.now()):
        raise errors.NotFound("Deployment not found")
    return web.json(None)


@group.post("/{id:uuid}/pause_deployment", permission="edit", response={"type": "null"})
async def pause_deployment(request: web.Request) -> web.Reply:
    """Let the schedules of a deployment make no more runs, and delete those of theirs that have not begun."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.pause, request.path["id"], kernel.clock.now()):
        raise errors.NotFound("Deployment not found")
    return web.json(None)
