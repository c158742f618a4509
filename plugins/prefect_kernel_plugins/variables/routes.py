"""Routes of variables, in the reference's order: a wrong method is answered with the first one of its path."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

from prefect_kernel import errors, web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement
from prefect_kernel.sql.paging import Sort, count_statement, page_statement

from ..common.paging import Filtered, Listed, checked_limit, filtered_by, read_list, read_number
from . import queries
from .filters import VARIABLE_FILTER, VARIABLES
from .group import group
from .schemas import VariableCreate, VariableUpdate
from .tables import variable as t
from .wire import VARIABLE_COLUMNS, VARIABLE_WIRE

web.describe("Variable", VARIABLE_WIRE)


class VariableSort(str, Enum):
    """How lists of variables can be sorted."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"


SORTS: dict[str, Sort] = {
    "CREATED_DESC": (t.c.created, True),
    "UPDATED_DESC": (t.c.updated, True),
    "NAME_DESC": (t.c.name, True),
    "NAME_ASC": (t.c.name, False),
}
VariableList = filtered_by(
    "VariableList", Listed, "variables", VARIABLE_FILTER, sort=(VariableSort, VariableSort.NAME_ASC)
)
VariableCount = filtered_by("VariableCount", Filtered, "variables", VARIABLE_FILTER)


@lru_cache(64)
def page(shape: Shape, sort: str) -> Statement:
    """One page of the variables that match a shape."""
    return page_statement(t, VARIABLE_COLUMNS, lambda rows: rows, VARIABLES.conditions(shape), SORTS[sort])


@lru_cache(64)
def count(shape: Shape) -> Statement:
    """The number of variables that match a shape."""
    return count_statement(t, VARIABLES.conditions(shape))


def _answer(request: web.Request, row: Any) -> web.Reply:
    if row is None:
        raise errors.NotFound("Variable not found.")
    return web.raw(VARIABLE_WIRE.one(request.kernel.storage.dialect, row))


async def _update(request: web.Request, body: VariableUpdate, **key: str) -> web.Reply:
    kernel = request.kernel
    changes = {name: getattr(body, name) for name in queries.CHANGEABLE if name in body.model_fields_set}
    if not await kernel.storage.write(queries.update, kernel, changes, kernel.clock.now(), **key):
        raise errors.NotFound("Variable not found.")
    kernel.events.committed()
    return web.no_content()


async def _delete(request: web.Request, **key: str) -> web.Reply:
    kernel = request.kernel
    if not await kernel.storage.write(queries.delete, kernel, kernel.clock.now(), **key):
        raise errors.NotFound("Variable not found.")
    kernel.events.committed()
    return web.no_content()


@group.post("/", permission="edit", body=VariableCreate, status=201, response="Variable")
async def create_variable(request: web.Request, body: VariableCreate) -> web.Reply:
    """Make a variable; its name must be free."""
    kernel = request.kernel
    try:
        row = await kernel.storage.write(queries.create, kernel, body, kernel.clock.now())
    except errors.UniqueViolation:
        raise errors.Conflict(f"A variable with the name {body.name!r} already exists.") from None
    kernel.events.committed()
    return web.json(row, 201)


@group.get("/{id:uuid}", permission="read", response="Variable")
async def read_variable(request: web.Request) -> web.Reply:
    """The variable with that id."""
    return _answer(request, await request.kernel.storage.read(queries.by_id, request.path["id"]))


@group.get("/name/{name}", permission="read", response="Variable")
async def read_variable_by_name(request: web.Request) -> web.Reply:
    """The variable of that name."""
    return _answer(request, await request.kernel.storage.read(queries.by_name, request.path["name"]))


@group.post("/filter", body=VariableList, embed=True, permission="read", response="Variable[]")
async def read_variables(request: web.Request, body: Any) -> web.Reply:
    """The variables that match."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(VARIABLES.take(body, params), body.sort.value)
    kernel = request.kernel
    return web.raw(await kernel.storage.read(read_list, kernel, VARIABLE_WIRE, statement, params))


@group.post("/count", body=VariableCount, embed=True, permission="read", response=int)
async def count_variables(request: web.Request, body: Any) -> web.Reply:
    """How many variables match."""
    params: dict[str, Any] = {}
    statement = count(VARIABLES.take(body, params))
    return web.raw(await request.kernel.storage.read(read_number, statement, params))


@group.patch("/{id:uuid}", permission="edit", body=VariableUpdate, status=204)
async def update_variable(request: web.Request, body: VariableUpdate) -> web.Reply:
    """Change the members that are given."""
    return await _update(request, body, id=request.path["id"])


@group.patch("/name/{name}", permission="edit", body=VariableUpdate, status=204)
async def update_variable_by_name(request: web.Request, body: VariableUpdate) -> web.Reply:
    """Change the members that are given."""
    return await _update(request, body, name=request.path["name"])


@group.delete("/{id:uuid}", permission="edit", status=204)
async def delete_variable(request: web.Request) -> web.Reply:
    """Delete a variable."""
    return await _delete(request, id=request.path["id"])


@group.delete("/name/{name}", permission="edit", status=204)
async def delete_variable_by_name(request: web.Request) -> web.Reply:
    """Delete a variable."""
    return await _delete(request, name=request.path["name"])
