"""Operations on many flow runs at once: at most fifty, those that match a filter, the newest ids first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from prefect_kernel import errors, web
from prefect_kernel.propose import propose
from prefect_kernel.sql import Unit

from ..common.client import api_version, client_version
from ..common.paging import Filtered, filtered_by
from ..states import StateCreate, to_state
from ..states.answers import orchestration_result
from . import queries
from .filters import FLOW_RUN_FILTER, FLOW_RUNS
from .group import group
from .reads import page
from .transitions import transition

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

LIMIT = 50

_Limit = Annotated[int, Field(ge=1, le=LIMIT)]
FlowRunBulkDelete = filtered_by("FlowRunBulkDelete", Filtered, "flow_runs", FLOW_RUN_FILTER, limit=(_Limit, LIMIT))
FlowRunBulkSetState = filtered_by(
    "FlowRunBulkSetState",
    Filtered,
    "flow_runs",
    FLOW_RUN_FILTER,
    state=(StateCreate, ...),
    force=(bool, False),
    limit=(_Limit, LIMIT),
)


def matching(given: Any, limit: int) -> Unit[list[str]]:
    """Ids of the runs that a flow run filter (or None) lets through."""
    params: dict[str, Any] = {"limit": limit, "offset": 0}
    shape = () if given is None else ((FLOW_RUNS.key, FLOW_RUN_FILTER.take(given, params)),)
    rows = yield page(shape, "ID_DESC").bind(params)
    return [row[0] for row in rows]


def delete_matching(kernel: Kernel, given: Any, limit: int, now: datetime) -> Unit[list[str]]:
    """Delete matching runs with their logs, all or none; gives their ids."""
    found = yield from matching(given, limit)
    for run_id in found:
        yield from queries.delete(kernel, run_id, now)
    return found


@group.post("/bulk_delete", permission="edit", body=FlowRunBulkDelete, embed=True, response="FlowRunBulkDeleteResponse")
async def bulk_delete_flow_runs(request: web.Request, body: Any) -> web.Reply:
    """Delete the runs that match a filter."""
    kernel = request.kernel
    deleted = await kernel.storage.write(delete_matching, kernel, body.flow_runs, body.limit, kernel.clock.now())
    return web.json({"deleted": deleted})


@group.post(
    "/bulk_set_state", permission="run", body=FlowRunBulkSetState, embed=True, response="FlowRunBulkSetStateResponse"
)
async def bulk_set_flow_run_state(request: web.Request, body: Any) -> web.Reply:
    """Propose a state to each run that matches a filter; each is decided by itself."""
    kernel = request.kernel
    policy = "minimal-flow" if body.force else "core-flow"
    results = []
    for run_id in await kernel.storage.read(matching, body.flow_runs, body.limit):
        result = await _one(kernel, run_id, body.state, policy, request)
        results.append({"flow_run_id": run_id, **result})
    return web.json({"results": results})


async def _one(kernel: Kernel, run_id: str, state: StateCreate, policy: str, request: web.Request) -> dict[str, Any]:
    """The verdict on one run; whatever goes wrong with it must not keep the others from theirs."""
    try:
        move = await propose(
            kernel,
            (policy, "global-flow"),
            transition,
            run_id,
            lambda now: to_state(state, now),
            policy=policy,
            now=kernel.clock.now(),
            api_version=api_version(request),
            client_version=client_version(request),
        )
    except errors.StorageUnavailable:
        raise  # for all of them: the client comes back
    except Exception as error:  # noqa: BLE001 - told to the client, run by run
        return {"status": "ABORT", "state": None, "details": {"type": "abort_details", "reason": str(error)}}
    answer = orchestration_result(move)
    return {"status": answer["status"], "state": answer["state"], "details": answer["details"]}
