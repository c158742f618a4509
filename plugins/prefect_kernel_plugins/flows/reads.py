"""Lists of flows. Imported once all slices are, since the bodies hold filters of several of them."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

from prefect_kernel import web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement
from prefect_kernel.sql.paging import Sort, count_statement, page_statement

from ..common.paging import Filtered, Listed, Paged, checked_limit, read_list, read_number, read_page
from .filters import FLOWS
from .group import group
from .tables import flow
from .wire import FLOW_COLUMNS, FLOW_WIRE


class FlowSort(str, Enum):
    """How lists of flows can be sorted."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


SORTS: dict[str, Sort] = {
    "CREATED_DESC": (flow.c.created, True),
    "UPDATED_DESC": (flow.c.updated, True),
    "NAME_ASC": (flow.c.name, False),
    "NAME_DESC": (flow.c.name, True),
}


class _List(Listed):
    sort: FlowSort = FlowSort.NAME_ASC


class _Page(Paged):
    sort: FlowSort = FlowSort.NAME_ASC


FlowList = FLOWS.body("FlowList", _List, order="limit offset * sort")
FlowPage = FLOWS.body("FlowPage", _Page, order="limit page * sort")
FlowCount = FLOWS.body("FlowCount", Filtered)


@lru_cache(256)
def page(shape: Shape, sort: str) -> Statement:
    """One page of the flows that match a shape."""
    return page_statement(flow, FLOW_COLUMNS, lambda flows: flows, FLOWS.conditions(shape), SORTS[sort])


@lru_cache(256)
def count(shape: Shape) -> Statement:
    """The number of flows that match a shape."""
    return count_statement(flow, FLOWS.conditions(shape))


@group.post("/filter", body=FlowList, embed=True, permission="read", response="Flow[]")
async def filter_flows(request: web.Request, body: Any) -> web.Reply:
    """The flows that match."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(FLOWS.take(body, params), body.sort.value)
    kernel = request.kernel
    return web.raw(await kernel.storage.read(read_list, kernel, FLOW_WIRE, statement, params))


@group.post("/paginate", body=FlowPage, embed=True, permission="read", response="FlowPaginationResponse")
async def paginate_flows(request: web.Request, body: Any) -> web.Reply:
    """A page of the flows that match, and how many there are in all."""
    limit, params = checked_limit(request, body.limit), {}
    shape = FLOWS.take(body, params)
    kernel = request.kernel
    return web.raw(
        await kernel.storage.read(
            read_page,
            kernel,
            FLOW_WIRE,
            page(shape, body.sort.value),
            count(shape),
            params,
            limit,
            body.page,
        )
    )


@group.post("/count", body=FlowCount, embed=True, permission="read", response=int)
async def count_flows(request: web.Request, body: Any) -> web.Reply:
    """How many flows match."""
    params: dict[str, Any] = {}
    return web.raw(await request.kernel.storage.read(read_number, count(FLOWS.take(body, params)), params))
