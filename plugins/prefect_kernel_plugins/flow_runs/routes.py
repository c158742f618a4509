"""Routes of single flow runs.

They are declared in the reference's order: a wrong method is answered with the first one of its path.
"""

from __future__ import annotations

from prefect_kernel import errors, web
from prefect_kernel.declare import follow_up

from ..common.client import api_version, client_version, created_by
from ..common.fields import KeyValueLabels
from ..states import StateCreate, to_state
from ..states.answers import orchestration_result
from . import queries
from .create import create
from .group import group
from .schemas import FlowRunCreate, FlowRunUpdate, SetState
from .transitions import set_state
from .wire import FLOW_RUN_WIRE

web.describe("FlowRunResponse", FLOW_RUN_WIRE)
_PENDING = StateCreate.model_validate({"type": "PENDING"})


@group.post("/", permission="run", body=FlowRunCreate, status=(201, 200), response="FlowRunResponse")
async def create_flow_run(request: web.Request, body: FlowRunCreate) -> web.Reply:
    """Create a run, PENDING unless another state is given; the idempotency key finds an earlier one (200)."""
    kernel = request.kernel
    state = body.state or _PENDING
    row, new = await kernel.storage.write(
        create,
        kernel,
        body,
        lambda now: to_state(state, now),
        kernel.clock.now(),
        created_by(request),
        api_version(request),
        client_version(request),
    )
    if new:
        kernel.events.committed()
    return web.raw(FLOW_RUN_WIRE.one(kernel.storage.dialect, row, kernel.clock.now()), 201 if new else 200)


@group.patch("/{id:uuid}", permission="run", body=FlowRunUpdate, status=204)
async def update_flow_run(request: web.Request, body: FlowRunUpdate) -> web.Reply:
    """Change the members that are given."""
    kernel = request.kernel
    if not await kernel.storage.write(queries.update, request.path["id"], body, kernel.clock.now()):
        raise errors.NotFound("Flow run not found")
    return web.no_content()


@group.get("/{id:uuid}", permission="read", response="FlowRunResponse")
async def read_flow_run(request: web.Request) -> web.Reply:
    """The run with that id."""
    kernel = request.kernel
    row = await kernel.storage.read(queries.by_id, request.path["id"])
    if row is None:
        raise errors.NotFound("Flow run not found")
    return web.raw(FLOW_RUN_WIRE.one(kernel.storage.dialect, row, kernel.clock.now()))


@group.delete("/{id:uuid}", permission="edit", status=204)
async def delete_flow_run(request: web.Request) -> web.Reply:
    """Delete the run, its states and its logs."""
    kernel = request.kernel
    declared = await kernel.storage.write(queries.delete, kernel, request.path["id"], kernel.clock.now())
    if declared is None:
        raise errors.NotFound("Flow run not found")
    await follow_up(declared.on_commit)
    return web.no_content()


@group.post(
    "/{id:uuid}/set_state",
    permission="run",
    body=SetState,
    embed=True,
    status=(201, 200),
    response="OrchestrationResult",
)
async def set_flow_run_state(request: web.Request, body: SetState) -> web.Reply:
    """Propose a state; the verdict says what became of it. 201 when a state was made, else 200."""
    move = await set_state(
        request.kernel,
        request.path["id"],
        lambda now: to_state(body.state, now),
        policy="minimal-flow" if body.force else "core-flow",
        api_version=api_version(request),
        client_version=client_version(request),
    )
    return web.json(orchestration_result(move), 200 if move.validated is None else 201)


@group.patch("/{id:uuid}/labels", permission="run", body=KeyValueLabels, status=204)
async def update_flow_run_labels(request: web.Request, body: KeyValueLabels) -> web.Reply:
    """Add labels to a run, replacing those of the same key."""
    kernel = request.kernel
    await kernel.storage.write(queries.add_labels, request.path["id"], body, kernel.clock.now())
    return web.no_content()
