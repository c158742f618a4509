"""Making, reading and changing agreements; also as Prefect's client does it."""

from __future__ import annotations

from uuid import UUID

from prefect_kernel import errors, web

from . import queries
from .schemas import Page, SlaBody, SlaCreate, SlaList, shown

group = web.Group("SLAs", prefix="/kernel/slas")
client_group = web.Group("SLAs of Prefect's client", prefix="/slas")


@group.post("/", body=SlaCreate, status=201, permission="edit")
async def create_sla(request: web.Request, body: SlaCreate) -> web.Reply:
    """Make an agreement about a deployment."""
    kernel, id = request.kernel, str(body.deployment_id)
    try:
        row = await kernel.storage.write(queries.create, id, body, kernel.clock.now())
    except errors.UniqueViolation:
        raise errors.Conflict(f"The deployment has an SLA named {body.name!r} already.") from None
    return web.json(shown(row), 201)


@group.get("/", query=Page, permission="read")
async def read_slas(request: web.Request) -> web.Reply:
    """The agreements, of one deployment or of all."""
    page, storage = request.query, request.kernel.storage
    if page.deployment_id is not None:
        found = await storage.read(queries.of_deployment, str(page.deployment_id))
        found = found[page.offset : page.offset + page.limit]
    else:
        found = await storage.read(queries.page, page.limit, page.offset)
    return web.json([shown(one) for one in found])


@group.get("/{id:uuid}", permission="read")
async def read_sla(request: web.Request) -> web.Reply:
    """An agreement."""
    row = await request.kernel.storage.read(queries.by_id, request.path["id"])
    if row is None:
        raise errors.NotFound("SLA not found")
    return web.json(shown(row))


@group.put("/{id:uuid}", body=SlaBody, permission="edit")
async def replace_sla(request: web.Request, body: SlaBody) -> web.Reply:
    """Put an agreement in the place of another."""
    kernel = request.kernel
    try:
        row = await kernel.storage.write(queries.replace, request.path["id"], body, kernel.clock.now())
    except errors.UniqueViolation:
        raise errors.Conflict(f"The deployment has an SLA named {body.name!r} already.") from None
    return web.json(shown(row))


@group.delete("/{id:uuid}", status=204, permission="edit")
async def delete_sla(request: web.Request) -> web.Reply:
    """Delete an agreement."""
    if not await request.kernel.storage.write(queries.delete, [request.path["id"]]):
        raise errors.NotFound("SLA not found")
    return web.no_content()


@group.get("/{id:uuid}/violations", query=Page, permission="read")
async def read_violations(request: web.Request) -> web.Reply:
    """What has violated an agreement, the latest first: flow runs, or the deployment; when, and when it was over."""
    page = request.query
    found = await request.kernel.storage.read(queries.violations, request.path["id"], page.limit, page.offset)
    return web.json(found)


@client_group.post("/apply-resource-slas/{resource_id}", body=SlaList, permission="edit")
async def apply_slas(request: web.Request, body: list[SlaBody]) -> web.Reply:
    """Make the agreements about a deployment (`prefect.deployment.…`) those that are sent; others are deleted."""
    kernel, resource = request.kernel, request.path["resource_id"]
    kind, _, id = resource.rpartition(".")
    try:
        deployment_id = str(UUID(id))
    except ValueError:
        deployment_id = ""
    if kind != "prefect.deployment" or not deployment_id:
        raise errors.Unprocessable(f"{resource!r} is no deployment; SLAs are about prefect.deployment.<id>.")
    try:
        done = await kernel.storage.write(queries.apply, deployment_id, body, kernel.clock.now())
    except errors.UniqueViolation:
        raise errors.Conflict("Somebody else has changed the SLAs of the deployment; try again.") from None
    return web.json({name: [shown(one) for one in rows] for name, rows in done.items()})
