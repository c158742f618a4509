"""Routes of single task runs.

They are declared in the reference's order: a wrong method is answered with the first one of its path.
"""

from __future__ import annotations

from prefect_kernel import errors, web
from prefect_kernel.declare import follow_up

from ..common.client import api_version, client_version
from ..flow_runs.schemas import SetState
from ..states import StateCreate, to_state
from ..states.answers import orchestration_result
from . import queries
from .create import create
from .group import group
from .schemas import TaskRunCreate, TaskRunUpdate
from .transitions import set_state
from .wire import TASK_RUN_WIRE

web.describe("TaskRun", TASK_RUN_WIRE)
_PENDING = StateCreate.model_validate({"type": "PENDING"})


@group.post("/", permission="run", body=TaskRunCreate, status=(201, 200), response="TaskRun")
async def create_task_run(request: web.Request, body: TaskRunCreate) -> web.Reply:
    """Create a task run, PENDING unless another state is given; one with the same keys is answered instead (200)."""
    kernel = request.kernel
    state = body.state or _PENDING
    row, new, move = await kernel.storage.write(
        create, kernel, body, lambda now: to_state(state, now), kernel.clock.now()
    )
    if move is not None:
        await follow_up(move.on_commit)
    return web.raw(TASK_RUN_WIRE.one(kernel.storage.dialect, row, kernel.clock.now()), 201 if new else 200)


@group.patch("/{id:uuid}", permission="run", body=TaskRunUpdate, status=204)
async def update_task_run(request: web.Request, body: TaskRunUpdate) -> web.Reply:
    """Rename a task run."""
    kernel = request.kernel
    name = body.name if "name" in body.model_fields_set else None
    if not await kernel.storage.write(queries.rename, request.path["id"], name, kernel.clock.now()):
        raise errors.NotFound("Task run not found")
    return web.no_content()


@group.get("/{id:uuid}", permission="read", response="TaskRun")
async def read_task_run(request: web.Request) -> web.Reply:
    """The task run with that id."""
    kernel = request.kernel
    row = await kernel.storage.read(queries.by_id, request.path["id"])
    if row is None:
        raise errors.NotFound("Task not found")
    return web.raw(TASK_RUN_WIRE.one(kernel.storage.dialect, row, kernel.clock.now()))


@group.delete("/{id:uuid}", permission="edit", status=204)
async def delete_task_run(request: web.Request) -> web.Reply:
    """Delete a task run, its states and its logs."""
    if not await request.kernel.storage.write(queries.delete, request.path["id"]):
        raise errors.NotFound("Task not found")
    return web.no_content()


@group.post(
    "/{id:uuid}/set_state",
    permission="run",
    body=SetState,
    embed=True,
    status=(201, 200),
    response="OrchestrationResult",
)
async def set_task_run_state(request: web.Request, body: SetState) -> web.Reply:
    """Propose a state; the verdict says what became of it. 201 when a state was made, else 200."""
    move = await set_state(
        request.kernel,
        request.path["id"],
        lambda now: to_state(body.state, now),
        policy="minimal-task" if body.force else "core-task",
        api_version=api_version(request),
        client_version=client_version(request),
    )
    return web.json(orchestration_result(move), 200 if move.validated is None else 201)
