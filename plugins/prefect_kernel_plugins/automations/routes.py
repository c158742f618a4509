"""Routes of automations.

They are declared in the reference's order: a wrong method is answered with the first one of its path.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors, web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.paging import Sort, count_statement

from ..common.paging import checked_limit, read_number
from . import queries
from .filters import AUTOMATIONS
from .group import group
from .schemas import (
    Automation,
    AutomationCount,
    AutomationCreate,
    AutomationList,
    AutomationPartialUpdate,
    AutomationUpdate,
)
from .tables import automation

SORTS: dict[str, Sort] = {
    "CREATED_DESC": (automation.c.created, True),
    "UPDATED_DESC": (automation.c.updated, True),
    "NAME_ASC": (automation.c.name, False),
    "NAME_DESC": (automation.c.name, True),
}


@group.post("/", body=AutomationCreate, status=201, permission="edit", response=Automation)
async def create_automation(request: web.Request, body: AutomationCreate) -> web.Reply:
    """Make an automation."""
    kernel = request.kernel
    body.trigger.reset_ids()
    row = await kernel.storage.write(queries.create, kernel, body, kernel.clock.now())
    kernel.events.committed()
    return web.raw(queries.to_json(row), 201)


@group.put("/{id:uuid}", body=AutomationUpdate, status=204, permission="edit")
async def update_automation(request: web.Request, body: AutomationUpdate) -> web.Reply:
    """Put an automation in the place of another; it counts from the beginning."""
    kernel = request.kernel
    body.trigger.reset_ids()
    if not await kernel.storage.write(queries.replace, kernel, request.path["id"], body, kernel.clock.now()):
        raise errors.ObjectNotFound("Automation not found")
    kernel.events.committed()
    return web.no_content()


@group.patch("/{id:uuid}", body=AutomationPartialUpdate, status=204, permission="edit")
async def patch_automation(request: web.Request, body: AutomationPartialUpdate) -> web.Reply:
    """Enable or disable an automation."""
    kernel, id, given = request.kernel, request.path["id"], "enabled" in body.model_fields_set
    if not await kernel.storage.write(queries.enable, kernel, id, body.enabled, given, kernel.clock.now()):
        raise errors.ObjectNotFound("Automation not found")
    kernel.events.committed()
    return web.no_content()


@group.delete("/{id:uuid}", status=204, permission="edit")
async def delete_automation(request: web.Request) -> web.Reply:
    """Delete an automation, and with it what it has counted."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.delete, kernel, request.path["id"], kernel.clock.now()):
        raise errors.ObjectNotFound("Automation not found")
    kernel.events.committed()
    return web.no_content()


@lru_cache(256)
def page(shape: Shape, sort: str) -> Statement:
    """One page of the automations that match a shape."""
    column, descending = SORTS[sort]
    limit, offset = sa.bindparam("limit", type_=sa.Integer()), sa.bindparam("offset", type_=sa.Integer())
    found = sa.select(*queries.COLUMNS).where(*AUTOMATIONS.conditions(shape))
    return Statement(found.order_by(column.desc() if descending else column.asc()).limit(limit).offset(offset))


@lru_cache(256)
def count(shape: Shape) -> Statement:
    """The number of automations that match a shape."""
    return count_statement(automation, AUTOMATIONS.conditions(shape))


def _read(statement: Statement, params: dict[str, Any]) -> Unit[bytes]:
    return queries.list_to_json((yield statement.bind(params)))


@group.post("/filter", body=AutomationList, embed=True, permission="read", response=list[Automation])
async def read_automations(request: web.Request, body: Any) -> web.Reply:
    """The automations that match."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(AUTOMATIONS.take(body, params), body.sort.value)
    return web.raw(await request.kernel.storage.read(_read, statement, params))


@group.post("/count", body=AutomationCount, embed=True, permission="read", response=int)
async def count_automations(request: web.Request, body: Any) -> web.Reply:
    """How many automations match."""
    params: dict[str, Any] = {}
    return web.raw(await request.kernel.storage.read(read_number, count(AUTOMATIONS.take(body, params)), params))


@group.get("/{id:uuid}", permission="read", response=Automation)
async def read_automation(request: web.Request) -> web.Reply:
    """The automation with that id."""
    row = await request.kernel.storage.read(queries.by_id, request.path["id"])
    if row is None:
        raise errors.ObjectNotFound("Automation not found")
    return web.raw(queries.to_json(row))


@group.get("/related-to/{resource_id}", permission="read", response=list[Automation])
async def read_automations_related_to_resource(request: web.Request) -> web.Reply:
    """The automations that are related to a resource."""
    rows = await request.kernel.storage.read(queries.related_to, request.path["resource_id"])
    return web.raw(queries.list_to_json(rows))


@group.delete("/owned-by/{resource_id}", status=202, permission="edit")
async def delete_automations_owned_by_resource(request: web.Request) -> web.Reply:
    """Delete the automations that belong to a resource."""
    kernel = request.kernel
    await kernel.storage.write(queries.delete_owned_by, request.path["resource_id"], kernel.clock.now())
    return web.json(None, 202)
