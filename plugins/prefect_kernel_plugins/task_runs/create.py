"""Creating a task run, with its first state, in one transaction.

A task run with the same flow run, task key and dynamic key is found instead of made again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.engine import decide
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID
from prefect_kernel.transition import Move, State

from ..common.policies import policy_to_json
from ..flow_runs.tables import flow_run
from .schemas import TaskRunCreate, inputs_to_json
from .tables import task_run
from .transitions import FLOW_RUN_CONTEXT, context_from_row, insert_new
from .wire import SELECT_TASK_RUN, new_row

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_COLUMNS = [column.name for column in task_run.columns]
_NATURAL = ["flow_run_id", "task_key", "dynamic_key"]
_BY_KEYS = Statement(
    sa.select(task_run.c.id)
    .where(
        task_run.c.flow_run_id.is_not_distinct_from(sa.bindparam("flow_run_id", type_=UUID())),
        task_run.c.task_key == sa.bindparam("task_key"),
        task_run.c.dynamic_key == sa.bindparam("dynamic_key"),
    )
    .limit(1)
)
_PARENT = Statement(
    sa.select(flow_run.c.labels, *FLOW_RUN_CONTEXT.columns)
    .select_from(FLOW_RUN_CONTEXT.source)
    .where(flow_run.c.id == sa.bindparam("id", type_=UUID()))
)

EMPTY_RUN: dict[str, Any] = {
    **dict.fromkeys(_COLUMNS),
    "run_count": 0,
    "flow_run_run_count": 0,
    "total_run_time": timedelta(0),
}


def create(
    kernel: Kernel, body: TaskRunCreate, make: Callable[[datetime], State], now: datetime
) -> Unit[tuple[Any, bool, Move | None]]:
    """Create a run as POST /task_runs/ does: the raw row for the wire, whether it is new, the first transition."""
    flow_run_id = None if body.flow_run_id is None else str(body.flow_run_id)
    labels: dict[str, Any] = {}
    context: dict[str, Any] = {"flow_run": None}
    if flow_run_id is not None:
        rows = yield _PARENT(id=flow_run_id)
        if rows:
            labels |= rows[0][0] or {}
            context["flow_run"] = context_from_row(rows[0][1:])
        labels["prefect.flow-run.id"] = flow_run_id
    run = {
        **EMPTY_RUN,
        "id": str(body.id) if body.id is not None else uuid4(),
        "created": now,
        "updated": now,
        "name": body.name,
        "flow_run_id": flow_run_id,
        "task_key": body.task_key,
        "dynamic_key": body.dynamic_key,
        "cache_key": body.cache_key,
        "cache_expiration": body.cache_expiration,
        "task_version": body.task_version,
        "empirical_policy": policy_to_json(body.empirical_policy),
        "tags": body.tags,
        "labels": {**labels, **(body.labels or {})},
        "task_inputs": inputs_to_json(body.task_inputs),
    }
    rows = yield _BY_KEYS.bind({key: run[key] for key in _NATURAL})
    if rows:
        found = yield SELECT_TASK_RUN(id=rows[0][0])
        return found[0], False, None
    move = Move(kernel, "task_run", run, None, make(now), now, context=context)
    deferred = move.proposed is not None and move.proposed.details["deferred"]
    policy = "background-task" if deferred else "minimal-task"
    yield from decide(move, kernel.policies[policy], kernel.policies["global-task"])
    yield from insert_new(move)
    return new_row(run, move.validated, kernel.storage.dialect), True, move
