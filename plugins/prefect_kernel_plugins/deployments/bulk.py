"""Operations on many deployments at once: at most fifty, those that match a filter, by name."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from prefect_kernel import web
from prefect_kernel.sql import Unit

from ..common.paging import Filtered, filtered_by
from . import queries
from .filters import DEPLOYMENT_FILTER, DEPLOYMENTS
from .group import group
from .reads import page

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

LIMIT = 50

_Limit = Annotated[int, Field(ge=1, le=LIMIT)]
DeploymentBulkDelete = filtered_by(
    "DeploymentBulkDelete", Filtered, "deployments", DEPLOYMENT_FILTER, limit=(_Limit, LIMIT)
)


def delete_matching(kernel: Kernel, given: Any, limit: int, now: datetime) -> Unit[list[str]]:
    """Delete matching deployments, all or none; gives their ids."""
    params: dict[str, Any] = {"limit": limit, "offset": 0}
    shape = () if given is None else ((DEPLOYMENTS.key, DEPLOYMENT_FILTER.take(given, params)),)
    rows = yield page(shape, "NAME_ASC").bind(params)
    return (yield from queries.delete(kernel, [row[0] for row in rows], now)) if rows else []


@group.post(
    "/bulk_delete", body=DeploymentBulkDelete, embed=True, response="DeploymentBulkDeleteResponse", permission="edit"
)
async def bulk_delete_deployments(request: web.Request, body: Any) -> web.Reply:
    """Delete the deployments that match a filter."""
    kernel = request.kernel
    deleted = await kernel.storage.write(delete_matching, kernel, body.deployments, body.limit, kernel.clock.now())
    kernel.events.committed()
    return web.json({"deleted": deleted})
