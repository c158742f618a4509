"""Routes of single artifacts.

They are declared in the reference's order: a wrong method is answered with the first one of its path.
"""

from __future__ import annotations

from prefect_kernel import errors, web

from . import queries
from .group import group
from .schemas import ArtifactCreate, ArtifactUpdate
from .wire import ARTIFACT_WIRE, COLLECTION_WIRE

web.describe("Artifact", ARTIFACT_WIRE)
web.describe("ArtifactCollection", COLLECTION_WIRE)


@group.post("/", permission="run", body=ArtifactCreate, status=(201, 200), response="Artifact")
async def create_artifact(request: web.Request, body: ArtifactCreate) -> web.Reply:
    """Store an artifact; with a key it becomes the latest of that key."""
    kernel = request.kernel
    row = await kernel.storage.write(queries.create, kernel, body, kernel.clock.now())
    if body.key is not None:
        kernel.events.committed()
    return web.raw(ARTIFACT_WIRE.one(kernel.storage.dialect, row), 201)


@group.get("/{id:uuid}", permission="read", response="Artifact")
async def read_artifact(request: web.Request) -> web.Reply:
    """The artifact with that id."""
    kernel = request.kernel
    row = await kernel.storage.read(queries.by_id, request.path["id"])
    if row is None:
        raise errors.NotFound("Artifact not found.")
    return web.raw(ARTIFACT_WIRE.one(kernel.storage.dialect, row))


@group.get("/{key}/latest", permission="read", response="Artifact")
async def read_latest_artifact(request: web.Request) -> web.Reply:
    """The latest artifact of a key; its id is that of the key's collection."""
    kernel = request.kernel
    row = await kernel.storage.read(queries.latest, request.path["key"])
    if row is None:
        raise errors.NotFound("Artifact not found.")
    return web.raw(ARTIFACT_WIRE.one(kernel.storage.dialect, row))


@group.patch("/{id:uuid}", permission="run", body=ArtifactUpdate, status=204)
async def update_artifact(request: web.Request, body: ArtifactUpdate) -> web.Reply:
    """Change the members that are given."""
    kernel = request.kernel
    changes = {name: getattr(body, name) for name in ArtifactUpdate.model_fields if name in body.model_fields_set}
    if not await kernel.storage.write(queries.update, request.path["id"], changes, kernel.clock.now()):
        raise errors.NotFound("Artifact not found.")
    return web.no_content()


@group.delete("/{id:uuid}", permission="edit", status=204)
async def delete_artifact(request: web.Request) -> web.Reply:
    """Delete an artifact; the one before it is then the latest of its key."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.delete, kernel, request.path["id"], kernel.clock.now()):
        raise errors.NotFound("Artifact not found.")
    kernel.events.committed()
    return web.no_content()
