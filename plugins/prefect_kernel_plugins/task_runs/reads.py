"""Lists of task runs, counts and histories."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

from prefect_kernel import web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.paging import Sort, count_statement, page_statement

from ..common.history import History, HistoryBody, bounds, parameters, to_json
from ..common.paging import Filtered, Listed, Paged, checked_limit, read_list, read_number, read_page
from .filters import TASK_RUNS
from .group import group
from .tables import task_run
from .wire import TASK_RUN_COLUMNS, TASK_RUN_PAGE_COLUMNS, TASK_RUN_PAGE_WIRE, TASK_RUN_WIRE, joined


class TaskRunSort(str, Enum):
    """How lists of task runs can be sorted."""

    ID_DESC = "ID_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"


SORTS: dict[str, Sort] = {
    "ID_DESC": (task_run.c.id, True),
    "EXPECTED_START_TIME_ASC": (task_run.c.expected_start_time, False),
    "EXPECTED_START_TIME_DESC": (task_run.c.expected_start_time, True),
    "NAME_ASC": (task_run.c.name, False),
    "NAME_DESC": (task_run.c.name, True),
    "NEXT_SCHEDULED_START_TIME_ASC": (task_run.c.next_scheduled_start_time, False),
    "END_TIME_DESC": (task_run.c.end_time, True),
}


class _List(Listed):
    sort: TaskRunSort = TaskRunSort.ID_DESC


class _Page(Paged):
    sort: TaskRunSort = TaskRunSort.ID_DESC


TaskRunList = TASK_RUNS.body("TaskRunList", _List, order="limit sort offset *")
TaskRunPage = TASK_RUNS.body("TaskRunPage", _Page, order="limit sort page *")
TaskRunCount = TASK_RUNS.body("TaskRunCount", Filtered)
TaskRunHistory = TASK_RUNS.body("TaskRunHistory", HistoryBody)

_history = History(TASK_RUNS, task_run)


@lru_cache(512)
def page(shape: Shape, sort: str, paged: bool) -> Statement:
    """One page of the task runs that match a shape, as `filter` shows them or as `paginate` does."""
    columns = TASK_RUN_PAGE_COLUMNS if paged else TASK_RUN_COLUMNS
    return page_statement(task_run, columns, joined, TASK_RUNS.conditions(shape), SORTS[sort])


@lru_cache(512)
def count(shape: Shape) -> Statement:
    """The number of task runs that match a shape."""
    return count_statement(task_run, TASK_RUNS.conditions(shape, counting=True))


@group.post("/filter", body=TaskRunList, embed=True, permission="read", response="TaskRun[]")
async def filter_task_runs(request: web.Request, body: Any) -> web.Reply:
    """The task runs that match."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(TASK_RUNS.take(body, params), body.sort.value, False)
    kernel = request.kernel
    return web.raw(await kernel.storage.read(read_list, kernel, TASK_RUN_WIRE, statement, params))


@group.post("/paginate", body=TaskRunPage, embed=True, permission="read", response="TaskRunPaginationResponse")
async def paginate_task_runs(request: web.Request, body: Any) -> web.Reply:
    """A page of the task runs that match, and how many there are in all."""
    limit = checked_limit(request, body.limit)
    params: dict[str, Any] = {}
    shape = TASK_RUNS.take(body, params)
    statement, total = page(shape, body.sort.value, True), count(shape)
    kernel = request.kernel
    return web.raw(
        await kernel.storage.read(read_page, kernel, TASK_RUN_PAGE_WIRE, statement, total, params, limit, body.page)
    )


@group.post("/count", body=TaskRunCount, embed=True, permission="read", response=int)
async def count_task_runs(request: web.Request, body: Any) -> web.Reply:
    """How many task runs match."""
    params: dict[str, Any] = {}
    return web.raw(await request.kernel.storage.read(read_number, count(TASK_RUNS.take(body, params)), params))


def _rows(statement: Statement, params: dict[str, Any]) -> Unit[list[Any]]:
    rows: list[Any] = yield statement.bind(params)
    return rows


@group.post("/history", body=TaskRunHistory, embed=True, permission="read", response="HistoryResponse[]")
async def task_run_history(request: web.Request, body: Any) -> web.Reply:
    """How many task runs were expected to start in each interval, by their state."""
    ends = bounds(body)
    if not ends:
        return web.raw(b"[]")
    kernel = request.kernel
    params = parameters(ends, kernel.clock.now())
    statement = _history.statement(TASK_RUNS.take(body, params))
    rows = await kernel.storage.read(_rows, statement, params)
    return web.raw(to_json(ends, rows, kernel.storage.dialect))
