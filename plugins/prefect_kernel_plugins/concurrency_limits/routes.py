"""Routes of single limits by tag, in the reference's order."""

from __future__ import annotations

from typing import Any

from prefect_kernel import errors, web
from prefect_kernel.declare import Declared, follow_up

from ..common.paging import checked_limit
from . import queries
from .group import group
from .schemas import Reset, TagLimitCreate, TagLimitList

_NOT_FOUND = "Concurrency limit not found"


def _found(limit: dict[str, Any] | None) -> web.Reply:
    if limit is None:
        raise errors.NotFound(_NOT_FOUND)
    return web.json(limit)


async def _done(request: web.Request, declared: Declared | None) -> web.Reply:
    if declared is None:
        raise errors.NotFound(_NOT_FOUND)
    await follow_up(declared.on_commit)
    request.kernel.events.committed()
    return web.json(None)


@group.post("/", permission="edit", body=TagLimitCreate, status=(200, 201), response="ConcurrencyLimit")
async def create_concurrency_limit(request: web.Request, body: TagLimitCreate) -> web.Reply:
    """Limit the task runs with a tag; a limit that exists gets the new number and is answered with 200."""
    kernel = request.kernel
    now = kernel.clock.now()
    try:
        limit, made = await kernel.storage.write(queries.create, kernel, body, now)
    except errors.UniqueViolation:  # somebody else was faster: now it is there
        limit, made = await kernel.storage.write(queries.create, kernel, body, now)
    kernel.events.committed()
    return web.json(limit, 201 if made else 200)


@group.get("/{id:uuid}", permission="read", response="ConcurrencyLimit")
async def read_concurrency_limit(request: web.Request) -> web.Reply:
    """The limit with that id."""
    kernel = request.kernel
    return _found(await kernel.storage.read(queries.read, kernel, kernel.clock.now(), id=request.path["id"]))


@group.get("/tag/{tag}", permission="read", response="ConcurrencyLimit")
async def read_concurrency_limit_by_tag(request: web.Request) -> web.Reply:
    """The limit for a tag."""
    kernel = request.kernel
    return _found(await kernel.storage.read(queries.read, kernel, kernel.clock.now(), tag=request.path["tag"]))


@group.post("/filter", body=TagLimitList, embed=True, permission="read", response="ConcurrencyLimit[]")
async def read_concurrency_limits(request: web.Request, body: TagLimitList) -> web.Reply:
    """Limits by tag."""
    kernel = request.kernel
    limit = checked_limit(request, body.limit)
    return web.json(await kernel.storage.read(queries.page, kernel, kernel.clock.now(), limit, body.offset))


@group.post("/tag/{tag}/reset", permission="edit", body=Reset, embed=True)
async def reset_concurrency_limit_by_tag(request: web.Request, body: Reset) -> web.Reply:
    """Forget who holds slots for a tag, and note others."""
    kernel = request.kernel
    tag = request.path["tag"]
    declared = await kernel.storage.write(queries.reset, kernel, tag, body.slot_override, kernel.clock.now())
    return await _done(request, declared)


@group.delete("/{id:uuid}", permission="edit")
async def delete_concurrency_limit(request: web.Request) -> web.Reply:
    """Delete the limit with that id."""
    kernel = request.kernel
    declared = await kernel.storage.write(queries.delete, kernel, kernel.clock.now(), id=request.path["id"])
    return await _done(request, declared)


@group.delete("/tag/{tag}", permission="edit")
async def delete_concurrency_limit_by_tag(request: web.Request) -> web.Reply:
    """Delete the limit for a tag."""
    kernel = request.kernel
    declared = await kernel.storage.write(queries.delete, kernel, kernel.clock.now(), tag=request.path["tag"])
    return await _done(request, declared)
