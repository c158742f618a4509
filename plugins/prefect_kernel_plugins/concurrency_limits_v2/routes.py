"""Routes of single limits."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from prefect_kernel import errors, web

from ..common.fields import Lenient
from ..common.paging import PageLimit, checked_limit
from . import queries
from .group import group
from .queries import LIMIT_WIRE
from .schemas import LimitCreate, LimitUpdate

_MEMBERS = (
    "id created updated active name limit active_slots denied_slots slot_decay_per_second avg_slot_occupancy_seconds"
).split()


class LimitList(Lenient):
    """Body parameters of a list of limits."""

    limit: PageLimit = None
    offset: Annotated[int, Field(ge=0)] = 0


def _key(id_or_name: str) -> dict[str, str]:
    """What a path names: an id in any of its spellings, else a name."""
    try:
        return {"id": str(UUID(id_or_name))}
    except ValueError:
        return {"name": id_or_name}


@group.post("/", permission="edit", body=LimitCreate, status=201, response="ConcurrencyLimitV2")
async def create_concurrency_limit_v2(request: web.Request, body: LimitCreate) -> web.Reply:
    """Make a limit; its name must be free."""
    kernel = request.kernel
    row = await kernel.storage.write(queries.create, kernel, body, kernel.clock.now())
    kernel.events.committed()
    return web.json({name: row[name] for name in _MEMBERS}, 201)


@group.get("/{id_or_name}", permission="read", response="GlobalConcurrencyLimitResponse")
async def read_concurrency_limit_v2(request: web.Request) -> web.Reply:
    """The limit with that id or name."""
    kernel = request.kernel
    row = await kernel.storage.read(queries.read, kernel.clock.now(), **_key(request.path["id_or_name"]))
    if row is None:
        raise errors.NotFound("Concurrency Limit not found")
    return web.raw(LIMIT_WIRE.one(kernel.storage.dialect, row))


@group.post("/filter", body=LimitList, embed=True, permission="read", response="GlobalConcurrencyLimitResponse[]")
async def read_all_concurrency_limits_v2(request: web.Request, body: LimitList) -> web.Reply:
    """Limits by name."""
    kernel = request.kernel
    limit = checked_limit(request, body.limit)
    rows = await kernel.storage.read(queries.page, kernel.clock.now(), limit, body.offset)
    return web.raw(LIMIT_WIRE.many(kernel.storage.dialect, rows))


@group.patch("/{id_or_name}", permission="edit", body=LimitUpdate, status=204)
async def update_concurrency_limit_v2(request: web.Request, body: LimitUpdate) -> web.Reply:
    """Change the members that are given."""
    kernel = request.kernel
    changes: dict[str, Any] = {name: getattr(body, name) for name in _MEMBERS if name in body.model_fields_set}
    key = _key(request.path["id_or_name"])
    if not await kernel.storage.write(queries.update, kernel, changes, kernel.clock.now(), **key):
        raise errors.NotFound("Concurrency Limit not found")
    kernel.events.committed()
    return web.no_content()


@group.delete("/{id_or_name}", permission="edit", status=204)
async def delete_concurrency_limit_v2(request: web.Request) -> web.Reply:
    """Delete a limit."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.delete, kernel, kernel.clock.now(), **_key(request.path["id_or_name"])):
        raise errors.NotFound("Concurrency Limit not found")
    kernel.events.committed()
    return web.no_content()
