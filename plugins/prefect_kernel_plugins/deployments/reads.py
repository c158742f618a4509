"""Lists of deployments. Imported once all slices are, since the bodies hold filters of several of them."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from prefect_kernel import web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.paging import Sort, count_statement, page_statement

from ..common.paging import Filtered, Listed, Paged, checked_limit, read_number
from .filters import DEPLOYMENTS
from .group import group
from .tables import deployment
from .wire import DEPLOYMENT_COLUMNS, complete, joined, to_json

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


class DeploymentSort(str, Enum):
    """How lists of deployments can be sorted."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


SORTS: dict[str, Sort] = {
    "CREATED_DESC": (deployment.c.created, True),
    "UPDATED_DESC": (deployment.c.updated, True),
    "NAME_ASC": (deployment.c.name, False),
    "NAME_DESC": (deployment.c.name, True),
}


# The sort comes last among the members, and so among the errors of a body that has none of them.
class _List(Listed):
    sort: DeploymentSort = DeploymentSort.NAME_ASC


class _Page(Paged):
    sort: DeploymentSort = DeploymentSort.NAME_ASC


DeploymentList = DEPLOYMENTS.body("DeploymentList", _List, order="limit offset * sort")
DeploymentPage = DEPLOYMENTS.body("DeploymentPage", _Page, order="limit page * sort")
DeploymentCount = DEPLOYMENTS.body("DeploymentCount", Filtered)


@lru_cache(256)
def page(shape: Shape, sort: str) -> Statement:
    """One page of the deployments that match a shape."""
    return page_statement(deployment, DEPLOYMENT_COLUMNS, joined, DEPLOYMENTS.conditions(shape), SORTS[sort])


@lru_cache(256)
def count(shape: Shape) -> Statement:
    """The number of deployments that match a shape."""
    return count_statement(deployment, DEPLOYMENTS.conditions(shape))


def read_deployments(kernel: Kernel, statement: Statement, params: dict[str, Any]) -> Unit[bytes]:
    """The rows of a page statement, with their schedules, as a JSON array."""
    rows = yield statement.bind(params)
    return to_json(kernel, (yield from complete(kernel, rows)))


def _read_page(
    kernel: Kernel, statement: Statement, total: Statement, params: dict[str, Any], limit: int, number: int
) -> Unit[bytes]:
    matches = (yield total.bind(params))[0][0]
    found = b"[]"
    if limit:
        window = {**params, "limit": limit, "offset": (number - 1) * limit}
        found = yield from read_deployments(kernel, statement, window)
    pages = -(-matches // limit) if limit else 0
    tail = f'"count":{matches},"limit":{limit},"pages":{pages},"page":{number}'
    return b'{"results":' + found + b"," + tail.encode() + b"}"


@group.post("/filter", body=DeploymentList, embed=True, permission="read", response="DeploymentResponse[]")
async def filter_deployments(request: web.Request, body: Any) -> web.Reply:
    """The deployments that match."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(DEPLOYMENTS.take(body, params), body.sort.value)
    return web.raw(await request.kernel.storage.read(read_deployments, request.kernel, statement, params))


@group.post("/paginate", body=DeploymentPage, embed=True, permission="read", response="DeploymentPaginationResponse")
async def paginate_deployments(request: web.Request, body: Any) -> web.Reply:
    """A page of the deployments that match, and how many there are in all."""
    limit, params = checked_limit(request, body.limit), {}
    shape = DEPLOYMENTS.take(body, params)
    statement, total, kernel = page(shape, body.sort.value), count(shape), request.kernel
    return web.raw(await kernel.storage.read(_read_page, kernel, statement, total, params, limit, body.page))


@group.post("/count", body=DeploymentCount, embed=True, permission="read", response=int)
async def count_deployments(request: web.Request, body: Any) -> web.Reply:
    """How many deployments match."""
    params: dict[str, Any] = {}
    return web.raw(await request.kernel.storage.read(read_number, count(DEPLOYMENTS.take(body, params)), params))
