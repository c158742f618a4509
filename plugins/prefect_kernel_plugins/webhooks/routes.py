"""Making and changing webhooks, and receiving what is sent to them."""

from __future__ import annotations

import asyncio

from prefect_kernel import errors, web

from ..events.sink import SINK, check_taken
from . import queries, receiving
from .schemas import Page, WebhookCreate, WebhookUpdate, shown

group = web.Group("Webhooks", prefix="/kernel/hooks")


def _path(request: web.Request, found: queries.Webhook) -> str:
    return f"{request.kernel.api}/kernel/hooks/{found.slug}"


@group.post("/", body=WebhookCreate, status=201, permission="edit")
async def create_webhook(request: web.Request, body: WebhookCreate) -> web.Reply:
    """Make a webhook. A secret that was made up is in this answer, and in no other."""
    kernel = request.kernel
    try:
        new, made = await kernel.storage.write(queries.create, kernel, body, kernel.clock.now())
    except errors.UniqueViolation:
        raise errors.Conflict(f"There is a webhook {body.slug!r} already.") from None
    told = {} if made is None else {"secret": made}
    return web.json({**shown(new, _path(request, new)), **told}, 201)


@group.get("/", query=Page, permission="read")
async def read_webhooks(request: web.Request) -> web.Reply:
    """The webhooks, by name."""
    found = await request.kernel.storage.read(queries.page, request.query.limit, request.query.offset)
    return web.json([shown(one, _path(request, one)) for one in found])


async def _known(request: web.Request) -> queries.Webhook:
    found = await request.kernel.storage.read(queries.by_slug, request.path["slug"])
    if found is None:
        raise errors.NotFound("Webhook not found")
    return found


@group.get("/{slug}", permission="read")
async def read_webhook(request: web.Request) -> web.Reply:
    """A webhook, without its secret."""
    found = await _known(request)
    return web.json(shown(found, _path(request, found)))


@group.patch("/{slug}", body=WebhookUpdate, permission="edit")
async def update_webhook(request: web.Request, body: WebhookUpdate) -> web.Reply:
    """Change a webhook. A secret that was made up is in this answer, and in no other."""
    kernel = request.kernel
    new, made = await kernel.storage.write(queries.update, kernel, request.path["slug"], body, kernel.clock.now())
    return web.json({**shown(new, _path(request, new)), **({} if made is None else {"secret": made})})


@group.delete("/{slug}", status=204, permission="edit")
async def delete_webhook(request: web.Request) -> web.Reply:
    """Delete a webhook."""
    if not await request.kernel.storage.write(queries.delete, request.path["slug"]):
        raise errors.NotFound("Webhook not found")
    return web.no_content()


@group.post("/{slug}", status=204, permission="run", open_=True)
async def receive(request: web.Request) -> web.Reply:
    """Make an event of a request; it is committed when the answer comes. Who may send is the webhook's to say."""
    kernel = request.kernel
    found = await _known(request)
    if not found.enabled:
        raise errors.NotFound("Webhook not found")
    await request.read(receiving.MAX_BYTES)
    if found.verify != "none":
        receiving.verify(found, await kernel.storage.read(queries.secret_of, kernel, found), request)
    event = await asyncio.to_thread(receiving.event_of, found, request)
    sink = kernel.stash[SINK]
    committed = await sink.put([event])
    sink.hurry()
    check_taken(await committed)
    return web.no_content()
