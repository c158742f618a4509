"""Transitions of flow runs: snapshot, decision, and one guarded write.

A crash before the commit leaves the run as it was; after it the state, the run's columns, taken slots and the event are
all there. Two transitions that race are told apart by the run's state_id: the later one finds it changed, and is
decided again on what is there then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.propose import propose
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID
from prefect_kernel.transition import Move, State, decide

from ..artifacts.tables import artifact
from ..concurrency_limits_v2.tables import concurrency_limit_v2
from ..deployments.tables import deployment
from ..states import details_to_json, persisted, state_from_row
from ..states.results import INSERT_RESULT, result_values
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

_SNAPSHOT = Statement(
    sa.select(*RUN_COLUMNS, *STATE_COLUMNS, artifact.c.data, *DEPLOYMENT_COLUMNS, *LIMIT_COLUMNS)
    .select_from(
        flow_run.outerjoin(flow_run_state, flow_run_state.c.id == flow_run.c.state_id)
        .outerjoin(artifact, artifact.c.id == flow_run_state.c.result_artifact_id)
        .outerjoin(deployment, deployment.c.id == flow_run.c.deployment_id)
        .outerjoin(concurrency_limit_v2, concurrency_limit_v2.c.id == deployment.c.concurrency_limit_id)
    )
    .where(flow_run.c.id == sa.bindparam("run_id", type_=UUID()))
)
"""Everything that the policies need to know about one flow run."""

INSERT_STATE = Statement(
    sa.insert(flow_run_state).values(
        {
            name: sa.bindparam(name, type_=flow_run_state.c[name].type)
            for name in (
                "id created updated timestamp type name message state_details flow_run_id result_artifact_id"
            ).split()
        }
    )
)

_DECIDED = (
    "state_id state_type state_name state_timestamp run_count empirical_policy start_time end_time total_run_time"
    " expected_start_time next_scheduled_start_time updated"
).split()
"""The columns that a transition may change."""

_UPDATE = Statement(
    sa.update(flow_run)
    .values({name: sa.bindparam(name, type_=flow_run.c[name].type) for name in _DECIDED})
    .where(
        flow_run.c.id == sa.bindparam("run_id", type_=UUID()),
        flow_run.c.state_id.is_not_distinct_from(sa.bindparam("seen_state_id", type_=UUID())),
    )
)
"""Change a run, provided that it is still in the state that was read."""


def load(run_id: str) -> Unit[tuple[dict[str, Any], State | None, dict[str, Any]] | None]:
    """The run, its state and its context (`deployment`); None when there is no such run."""
    rows = yield _SNAPSHOT(run_id=run_id)
    if not rows:
        return None
    row = rows[0]
    at = len(RUN_KEYS)
    run = dict(zip(RUN_KEYS, row, strict=False))
    state = state_from_row(*row[at : at + 7])
    context: dict[str, Any] = {}
    if run["deployment_id"] is not None:
        at += 7
        found = dict(zip(DEPLOYMENT_KEYS, row[at:], strict=False))
        at += len(DEPLOYMENT_KEYS)
        limit = dict(zip(LIMIT_KEYS, row[at:], strict=False))
        found["limit"] = limit if limit["id"] is not None else None
        context["deployment"] = found if found["id"] is not None else None
    return run, state, context


def state_values(state: State, run_id: str, result_id: str | None) -> dict[str, Any]:
    """The row of a state."""
    return {
        "id": state.id,
        "created": state.timestamp,
        "updated": state.timestamp,
        "timestamp": state.timestamp,
        "type": state.type,
        "name": state.name,
        "message": state.message,
        "state_details": details_to_json(state.details),
        "flow_run_id": run_id,
        "result_artifact_id": result_id,
    }


def apply(move: Move, seen: dict[str, Any]) -> Unit[None]:
    """Write what was decided; `seen` is the run as it was read. Raises Raced when somebody was faster."""
    run, state = move.run, move.validated
    if state is not None:
        result_id = None
        if persisted(state.data):
            result_id = uuid4()
            yield INSERT_RESULT.bind(result_values(result_id, state.data, move.now, flow_run_id=run["id"]))
        yield INSERT_STATE.bind(state_values(state, run["id"], result_id))
        run["state_id"] = state.id
    if state is not None or run != seen:
        run["updated"] = move.now
        changed = yield _UPDATE.bind({**run, "run_id": run["id"], "seen_state_id": seen["state_id"]})
        if changed != 1:
            raise errors.Raced
    for call, expect in move.writes:
        outcome = yield call
        if expect is not None and (outcome if isinstance(outcome, int) else len(outcome)) != expect:
            raise errors.Raced
    if move.events:
        yield from move.kernel.events.put(*move.events)


def transition(
    kernel: Kernel,
    run_id: str,
    make: Callable[[datetime], State],
    *,
    policy: str = "core-flow",
    now: datetime,
    api_version: tuple[int, int, int] | None = None,
    client_version: str | None = None,
    dry: bool = False,
) -> Unit[Move]:
    """Propose a state to a run, decide and write, as one unit. Raises ObjectNotFound."""
    found = yield from load(run_id)
    if found is None:
        raise errors.ObjectNotFound(f"Flow run with id {run_id} not found")
    run, initial, context = found
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
    yield from decide(move, kernel.policies[policy], kernel.policies["global-flow"])
    if not dry:
        yield from apply(move, seen)
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


__all__ = ["apply", "load", "set_state", "state_values", "transition"]
