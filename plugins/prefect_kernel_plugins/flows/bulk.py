"""Operations on many flows at once: at most fifty, those that match a filter, by name."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from prefect_kernel import web
from prefect_kernel.sql import Unit

from ..common.paging import Filtered, filtered_by
from . import queries
from .filters import FLOW_FILTER, FLOWS
from .group import group
from .reads import page

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

LIMIT = 50

_Limit = Annotated[int, Field(ge=1, le=LIMIT)]
FlowBulkDelete = filtered_by("FlowBulkDelete", Filtered, "flows", FLOW_FILTER, limit=(_Limit, LIMIT))


def delete_matching(kernel: Kernel, given: Any, limit: int, now: datetime) -> Unit[list[str]]:
    """Delete matching flows with their runs and deployments, all or none; gives their ids."""
    params: dict[str, Any] = {"limit": limit, "offset": 0}
    shape = () if given is None else ((FLOWS.key, FLOW_FILTER.take(given, params)),)
    rows = yield page(shape, "NAME_ASC").bind(params)
    found = [row[0] for row in rows]
    for flow_id in found:
        yield from queries.delete(kernel, flow_id, now)
    return found


@group.post("/bulk_delete", permission="edit", body=FlowBulkDelete, embed=True, response="FlowBulkDeleteResponse")
async def bulk_delete_flows(request: web.Request, body: Any) -> web.Reply:
    """Delete the flows that match a filter."""
    kernel = request.kernel
    deleted = await kernel.storage.write(delete_matching, kernel, body.flows, body.limit, kernel.clock.now())
    kernel.events.committed()
    return web.json({"deleted": deleted})
