"""Transitions of flow runs: snapshot, decision, and one guarded write.

A crash before the commit leaves the run as it was; after it the state, the run's columns, taken slots and the event are
all there. Two transitions that race are told apart by the run's state_id: the later one finds it changed, and is
decided again on what is there then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.engine import decide
from prefect_kernel.propose import propose
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import JSON, POSTGRESQL, UUID
from prefect_kernel.transition import Move, State

from ..artifacts.tables import artifact
from ..concurrency_limits_v2.tables import concurrency_limit_v2
from ..deployments.tables import deployment
from ..flows.tables import flow
from ..states import state_from_row
from ..states.applying import RunWriter, moment_after, write_declared
from ..work_pools.tables import work_pool, work_queue
from .tables import flow_run, flow_run_state

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

RUN_COLUMNS = [
    flow_run.c[name]
    for name in (
        "id name flow_id deployment_id state_id state_type state_name state_timestamp run_count empirical_policy"
        " start_time end_time total_run_time expected_start_time next_scheduled_start_time parent_task_run_id"
        " infrastructure_pid tags created_by work_queue_id created updated"
    ).split()
]
RUN_KEYS = [column.name for column in RUN_COLUMNS]
STATE_COLUMNS = [flow_run_state.c[name] for name in "id type name timestamp message state_details".split()]
LIMIT_COLUMNS = [
    concurrency_limit_v2.c[name]
    for name in (
        "id name limit active active_slots denied_slots slot_decay_per_second avg_slot_occupancy_seconds updated"
    ).split()
]
LIMIT_KEYS = [column.name for column in LIMIT_COLUMNS]
DEPLOYMENT_COLUMNS = [deployment.c[name] for name in "id name concurrency_limit_id concurrency_options tags".split()]
DEPLOYMENT_KEYS = [column.name for column in DEPLOYMENT_COLUMNS]

task_run = sa.table(
    "task_run",
    sa.column("id", UUID()),
    sa.column("name", sa.String()),
    sa.column("tags", JSON()),
)
"""What is needed here of the task run that stands for a subflow; its slice is above this one."""

RELATED_COLUMNS = [
    flow.c.name,
    flow.c.tags,
    deployment.c.name,
    deployment.c.tags,
    work_queue.c.name,
    work_pool.c.id,
    work_pool.c.name,
    work_pool.c.type,
    task_run.c.name,
    task_run.c.tags,
]
"""Names and tags of everything that a flow run's events relate to."""

_SNAPSHOT = Statement(
    sa.select(*RUN_COLUMNS, *STATE_COLUMNS, artifact.c.data, *DEPLOYMENT_COLUMNS, *LIMIT_COLUMNS, *RELATED_COLUMNS)
    .select_from(
        flow_run.outerjoin(flow, flow.c.id == flow_run.c.flow_id)
        .outerjoin(work_queue, work_queue.c.id == flow_run.c.work_queue_id)
        .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
        .outerjoin(task_run, task_run.c.id == flow_run.c.parent_task_run_id)
        .outerjoin(flow_run_state, flow_run_state.c.id == flow_run.c.state_id)
        .outerjoin(artifact, artifact.c.id == flow_run_state.c.result_artifact_id)
        .outerjoin(deployment, deployment.c.id == flow_run.c.deployment_id)
        .outerjoin(concurrency_limit_v2, concurrency_limit_v2.c.id == deployment.c.concurrency_limit_id)
    )
    .where(flow_run.c.id == sa.bindparam("run_id", type_=UUID()))
)
"""Everything that the policies, and the event of a new state, need to know about one flow run."""

_WRITER = RunWriter(flow_run, flow_run_state, "flow_run_id", ["flow_id", "idempotency_key"])


def load(run_id: str) -> Unit[tuple[dict[str, Any], State | None, dict[str, Any]] | None]:
    """The run, its state and its context (`deployment`, `related`); None when there is no such run."""
    rows = yield _SNAPSHOT(run_id=run_id)
    if not rows:
        return None
    row = rows[0]
    at = len(RUN_KEYS)
    run = dict(zip(RUN_KEYS, row, strict=False))
    state = state_from_row(*row[at : at + 7])
    context: dict[str, Any] = {"related": row[-len(RELATED_COLUMNS) :]}
    if run["deployment_id"] is not None:
        at += 7
        found = dict(zip(DEPLOYMENT_KEYS, row[at:], strict=False))
        at += len(DEPLOYMENT_KEYS)
        limit = dict(zip(LIMIT_KEYS, row[at:], strict=False))
        found["limit"] = limit if limit["id"] is not None else None
        context["deployment"] = found if found["id"] is not None else None
    return run, state, context


def insert_new(move: Move, *, last: bool) -> Unit[None]:
    """Write a new run with its first state; `last` when the unit writes nothing else."""
    run_id = move.run["id"]
    at_once = move.kernel.storage.dialect == POSTGRESQL  # SQLite checks references statement by statement
    _WRITER.declare_new(move, flow_run_id=run_id, task_run_id=None, at_once=at_once)
    yield from write_declared(move, last=last)


def _declare(move: Move, seen: dict[str, Any]) -> None:
    _WRITER.declare(move, seen, flow_run_id=move.run["id"], task_run_id=None)


def transition(
    kernel: Kernel,
    run_id: str,
    make: Callable[[datetime], State],
    *,
    policy: str = "core-flow",
    now: datetime,
    api_version: tuple[int, int, int] | None = None,
    client_version: str | None = None,
    detached: bool = False,
    then: Callable[[Move], None] | None = None,
) -> Unit[Move]:
    """Propose a state to a run, decide and write, as one unit. Raises ObjectNotFound.

    For `detached`, see `propose`. `then` may declare further writes on the decided move.
    """
    found = yield from load(run_id)
    if found is None:
        raise errors.ObjectNotFound(f"Flow run with id {run_id} not found")
    run, initial, context = found
    now = moment_after(initial, now)
    move = Move(
        kernel,
        "flow_run",
        run,
        initial,
        make(now),
        now,
        context=context,
        api_version=api_version,
        client_version=client_version,
    )
    seen = {**run, "empirical_policy": {**(run["empirical_policy"] or {})}}
    yield from decide(move, kernel.policies[policy], kernel.policies["global-flow"], detached=detached)
    if then is not None:
        then(move)
    _declare(move, seen)
    if detached:
        move.commit = partial(write_declared, move)
    else:
        yield from write_declared(move)
    return move


async def set_state(
    kernel: Kernel,
    run_id: str,
    make: Callable[[datetime], State],
    *,
    policy: str = "core-flow",
    api_version: tuple[int, int, int] | None = None,
    client_version: str | None = None,
) -> Move:
    """Propose the state that `make(now)` gives; the returned move holds the verdict. Raises ObjectNotFound."""
    options: dict[str, Any] = {
        "policy": policy,
        "now": kernel.clock.now(),
        "api_version": api_version,
        "client_version": client_version,
    }
    return await propose(kernel, (policy, "global-flow"), transition, run_id, make, **options)


__all__ = ["insert_new", "load", "set_state", "transition"]
