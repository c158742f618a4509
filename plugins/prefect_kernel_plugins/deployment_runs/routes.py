"""Routes that make runs of deployments."""

from __future__ import annotations

from prefect_kernel import errors, web

from ..common.client import created_by
from ..flow_runs.wire import FLOW_RUN_WIRE
from .create import create
from .group import group
from .many import LIMIT, create_many
from .schemas import DeploymentFlowRunCreate


@group.post(
    "/{id:uuid}/create_flow_run",
    permission="run",
    body=DeploymentFlowRunCreate,
    status=(201, 200),
    response="FlowRunResponse",
)
async def create_flow_run_from_deployment(request: web.Request, body: DeploymentFlowRunCreate) -> web.Reply:
    """Make a run of a deployment, SCHEDULED for now unless another state is given; a known key finds its run (200)."""
    kernel, now = request.kernel, request.kernel.clock.now()
    row, new = await kernel.storage.write(create, kernel, request.path["id"], body, now, created_by(request))
    kernel.events.committed()
    return web.raw(FLOW_RUN_WIRE.one(kernel.storage.dialect, row, now), 201 if new else 200)


@group.post(
    "/{id:uuid}/create_flow_run/bulk",
    permission="run",
    body=list[DeploymentFlowRunCreate],
    response="FlowRunBulkCreateResponse",
)
async def bulk_create_flow_runs_from_deployment(request: web.Request, body: list[DeploymentFlowRunCreate]) -> web.Reply:
    """Make many runs of a deployment; the answer tells of each of them what became of it."""
    if len(body) > LIMIT:
        raise errors.BadRequest(f"Cannot create more than {LIMIT} flow runs at once.")
    kernel = request.kernel
    results = await kernel.storage.write(
        create_many, kernel, request.path["id"], body, kernel.clock.now(), created_by(request)
    )
    kernel.events.committed()
    return web.json({"results": results})
