"""Lists of flow runs, counts and histories. Imported once all slices are, since the bodies hold filters of several."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel import web
from prefect_kernel.filtering import AnyLabel, Shape, conjunct
from prefect_kernel.sql import Statement, by_dialect
from prefect_kernel.sql.paging import Sort, count_statement, page_statement

from ..common.paging import Filtered, Listed, Paged, checked_limit, read_list, read_number, read_page
from .filters import FLOW_RUN_FILTER, FLOW_RUNS, START
from .group import group
from .tables import flow_run
from .wire import FLOW_RUN_COLUMNS, FLOW_RUN_WIRE, joined


class FlowRunSort(str, Enum):
    """How lists of flow runs can be sorted."""

    ID_DESC = "ID_DESC"
    START_TIME_ASC = "START_TIME_ASC"
    START_TIME_DESC = "START_TIME_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"


SORTS: dict[str, Sort] = {
    "ID_DESC": (flow_run.c.id, True),
    "START_TIME_ASC": (START, False),
    "START_TIME_DESC": (START, True),
    "EXPECTED_START_TIME_ASC": (flow_run.c.expected_start_time, False),
    "EXPECTED_START_TIME_DESC": (flow_run.c.expected_start_time, True),
    "NAME_ASC": (flow_run.c.name, False),
    "NAME_DESC": (flow_run.c.name, True),
    "NEXT_SCHEDULED_START_TIME_ASC": (flow_run.c.next_scheduled_start_time, False),
    "END_TIME_DESC": (flow_run.c.end_time, True),
}

_INDEXED_BY_STATE = ("START_TIME_ASC", "START_TIME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC")
"""Sorts for which there is an index (state_type, sort key)."""


class _List(Listed):
    sort: FlowRunSort = FlowRunSort.ID_DESC


class _Page(Paged):
    sort: FlowRunSort = FlowRunSort.ID_DESC


FlowRunList = FLOW_RUNS.body("FlowRunList", _List, order="limit sort offset *")
FlowRunPage = FLOW_RUNS.body("FlowRunPage", _Page, order="limit sort page *")
FlowRunCount = FLOW_RUNS.body("FlowRunCount", Filtered)


def _state_type_any() -> AnyLabel:
    op: Any = FLOW_RUN_FILTER.members["state"].members["type"].members["any_"]  # type: ignore[union-attr]
    assert isinstance(op, AnyLabel)
    return op


def alternatives(shape: Shape, sort: str) -> list[sa.ColumnElement[bool]]:
    """One condition for each state type asked for, when each can be read in sorted order."""
    number = conjunct(dict(shape).get("flow_runs"), "state", "type", "any_")
    if not number or sort not in _INDEXED_BY_STATE:
        return []
    return [flow_run.c.state_type == bind for bind in _state_type_any().binds(number)]


@lru_cache(512)
def page(shape: Shape, sort: str) -> Statement:
    """One page of the flow runs that match a shape."""
    return page_statement(
        flow_run,
        FLOW_RUN_COLUMNS,
        joined,
        FLOW_RUNS.conditions(shape),
        SORTS[sort],
        alternatives(shape, sort),
    )


_ALL = Statement(
    by_dialect(
        sqlite="SELECT count(*) FROM flow_run",
        # kept by triggers (migration 0013): counting reads an index of all runs
        postgresql="SELECT CAST(sum(runs) AS BIGINT) FROM kernel_flow_run_count",
    ),
    raw=True,
)


@lru_cache(512)
def count(shape: Shape) -> Statement:
    """The number of flow runs that match a shape."""
    if not shape:
        return _ALL
    return count_statement(flow_run, FLOW_RUNS.conditions(shape, counting=True))


@group.post("/filter", body=FlowRunList, embed=True, permission="read", response="FlowRunResponse[]")
async def filter_flow_runs(request: web.Request, body: Any) -> web.Reply:
    """The flow runs that match."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(FLOW_RUNS.take(body, params), body.sort.value)
    kernel = request.kernel
    return web.raw(await kernel.storage.read(read_list, kernel, FLOW_RUN_WIRE, statement, params))


@group.post("/paginate", body=FlowRunPage, embed=True, permission="read", response="FlowRunPaginationResponse")
async def paginate_flow_runs(request: web.Request, body: Any) -> web.Reply:
    """A page of the flow runs that match, and how many there are in all."""
    limit = checked_limit(request, body.limit)
    params: dict[str, Any] = {}
    shape = FLOW_RUNS.take(body, params)
    statement, total = page(shape, body.sort.value), count(shape)
    kernel = request.kernel
    return web.raw(
        await kernel.storage.read(read_page, kernel, FLOW_RUN_WIRE, statement, total, params, limit, body.page)
    )


@group.post("/count", body=FlowRunCount, embed=True, permission="read", response=int)
async def count_flow_runs(request: web.Request, body: Any) -> web.Reply:
    """How many flow runs match."""
    params: dict[str, Any] = {}
    return web.raw(await request.kernel.storage.read(read_number, count(FLOW_RUNS.take(body, params)), params))
