"""Transitions of task runs: snapshot, decision, and one guarded write.

As for flow runs, a crash before the commit leaves the run as it was; after it everything that was decided is there. Two
transitions that race are told apart by the run's state_id: the later one is decided again on what is there then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.engine import decide
from prefect_kernel.propose import propose
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID
from prefect_kernel.transition import Move, State

from ..artifacts.tables import artifact
from ..flow_runs.tables import flow_run, flow_run_state
from ..states import details_from_json, state_from_row
from ..states.applying import RunWriter, moment_after, write_declared
from .tables import task_run, task_run_state

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

RUN_COLUMNS = [
    task_run.c[name]
    for name in [
        "id",
        "name",
        "flow_run_id",
        "task_key",
        "dynamic_key",
        "state_id",
        "state_type",
        "state_name",
        "state_timestamp",
        "run_count",
        "flow_run_run_count",
        "empirical_policy",
        "start_time",
        "end_time",
        "total_run_time",
        "expected_start_time",
        "next_scheduled_start_time",
        "tags",
        "created",
        "updated",
    ]
]
RUN_KEYS = [column.name for column in RUN_COLUMNS]
STATE_COLUMNS = [task_run_state.c[name] for name in ["id", "type", "name", "timestamp", "message", "state_details"]]


@dataclass(frozen=True)
class _Context:
    """Columns of a flow run that its task runs' rules look at, and where they come from."""

    columns: Sequence[Any]
    source: Any


FLOW_RUN_CONTEXT = _Context(
    [
        flow_run.c.id,
        flow_run.c.run_count,
        flow_run_state.c.type,
        flow_run_state.c.name,
        flow_run_state.c.state_details,
    ],
    flow_run.outerjoin(flow_run_state, flow_run_state.c.id == flow_run.c.state_id),
)


def context_from_row(row: Sequence[Any]) -> dict[str, Any] | None:
    """`context["flow_run"]` from the columns of FLOW_RUN_CONTEXT; None when the join found nothing."""
    id, run_count, type, name, details = row
    if id is None:
        return None
    state = None if type is None else {"type": type, "name": name, "details": details_from_json(details)}
    return {"id": id, "run_count": run_count, "state": state}


_SNAPSHOT = Statement(
    sa.select(*RUN_COLUMNS, *STATE_COLUMNS, artifact.c.data, *FLOW_RUN_CONTEXT.columns)
    .select_from(
        task_run.outerjoin(task_run_state, task_run_state.c.id == task_run.c.state_id)
        .outerjoin(artifact, artifact.c.id == task_run_state.c.result_artifact_id)
        .outerjoin(flow_run, flow_run.c.id == task_run.c.flow_run_id)
        .outerjoin(flow_run_state, flow_run_state.c.id == flow_run.c.state_id)
    )
    .where(task_run.c.id == sa.bindparam("run_id", type_=UUID()))
)
"""Everything that the policies need to know about one task run."""

_WRITER = RunWriter(task_run, task_run_state, "task_run_id", ["flow_run_id", "task_key", "dynamic_key"])


def load(run_id: str) -> Unit[tuple[dict[str, Any], State | None, dict[str, Any]]]:
    """The run, its state and its context (`flow_run`). Raises ObjectNotFound."""
    rows = yield _SNAPSHOT(run_id=run_id)
    if not rows:
        raise errors.ObjectNotFound(f"Task run with id {run_id} not found")
    row = rows[0]
    at = len(RUN_KEYS)
    run = dict(zip(RUN_KEYS, row, strict=False))
    return run, state_from_row(*row[at : at + 7]), {"flow_run": context_from_row(row[at + 7 :])}


def policy_for(state: State, policy: str) -> str:
    """Deferred runs have a policy of their own, also when forced."""
    return "background-task" if state.details["deferred"] else policy


def insert_new(move: Move) -> Unit[None]:
    """Write a new run with its first state, as the only write of the unit."""
    _WRITER.declare_new(move, flow_run_id=move.run["flow_run_id"], task_run_id=move.run["id"], at_once=True)
    yield from write_declared(move)


def _declare(move: Move, seen: dict[str, Any]) -> None:
    _WRITER.declare(move, seen, flow_run_id=move.run["flow_run_id"], task_run_id=move.run["id"])


def transition(
    kernel: Kernel,
    run_id: str,
    make: Callable[[datetime], State],
    *,
    policy: str = "core-task",
    now: datetime,
    api_version: tuple[int, int, int] | None = None,
    client_version: str | None = None,
    detached: bool = False,
) -> Unit[Move]:
    """Propose a state to a task run, decide and write, as a unit. Raises ObjectNotFound. `detached`: see `propose`."""
    run, initial, context = yield from load(run_id)
    now = moment_after(initial, now)
    state = make(now)
    move = Move(
        kernel,
        "task_run",
        run,
        initial,
        state,
        now,
        context=context,
        api_version=api_version,
        client_version=client_version,
    )
    seen = {**run, "empirical_policy": {**(run["empirical_policy"] or {})}}
    chosen = kernel.policies[policy_for(state, policy)]
    yield from decide(move, chosen, kernel.policies["global-task"], detached=detached)
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
    policy: str = "core-task",
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
    return await propose(kernel, (policy, "background-task", "global-task"), transition, run_id, make, **options)


# ---------------------------------------------------------------- transitions that another one brings with it
def force(outer: Move, run_id: str, state: State, **columns: Any) -> Unit[None]:
    """Force a state on a task run within another run's transition, whose writes then hold this one's too.

    `columns` are set in the run afterwards. Raises ObjectNotFound.
    """
    kernel = outer.kernel
    run, initial, context = yield from load(run_id)
    state.timestamp = moment_after(initial, state.timestamp)
    move = Move(kernel, "task_run", run, initial, state, outer.now, context=context)
    seen = dict(run)
    yield from decide(move, kernel.policies[policy_for(state, "minimal-task")], kernel.policies["global-task"])
    run.update(columns)
    _declare(move, seen)
    outer.writes += move.writes
    outer.events += move.events
    outer.on_commit += move.on_commit


_ARTIFACT_KEYS = frozenset({"artifact_key", "artifact_type", "artifact_description"})


def mirror(subflow: Move, run_id: str) -> Unit[None]:
    """Give the task run that stands for a subflow in its parent the state that the subflow has got."""
    state = subflow.validated
    if state is None:
        return
    copy = state.fresh_copy(max(subflow.now, state.timestamp))
    copy.details["child_flow_run_id"] = subflow.run["id"]
    if isinstance(copy.data, dict):  # the subflow's own artifact has these
        copy.data = {key: value for key, value in copy.data.items() if key not in _ARTIFACT_KEYS}
    yield from force(subflow, run_id, copy)


__all__ = [
    "FLOW_RUN_CONTEXT",
    "context_from_row",
    "force",
    "insert_new",
    "load",
    "mirror",
    "policy_for",
    "set_state",
    "transition",
]
