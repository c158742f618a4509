"""Flow runs as clients see them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import UUID, json_from_text
from prefect_kernel.transition import State
from prefect_kernel.wire import Field, Nested, Skip, Wire, json_text, stored_json

from ..artifacts.tables import artifact
from ..common.estimates import ESTIMATED_RUN_TIME, ESTIMATED_START_TIME_DELTA
from ..common.policies import FlowRunPolicy, policy_to_json
from ..common.raw_rows import raw_cells
from ..states.wire import STATE_WIRE, state_cells, state_columns
from ..work_pools.tables import work_pool, work_queue
from .tables import flow_run, flow_run_state


@lru_cache(1024)
def _policy(text: str) -> str:
    """A stored policy with every key; there are few different ones."""
    return json_text(policy_to_json(FlowRunPolicy.model_validate(json_from_text(text))))


def _labels(text: str | None) -> str:
    return "{}" if text is None or text == "null" else stored_json(text)


def _created_by(text: str | None) -> str:
    if text is None or text == "null":
        return "null"
    stored = json_from_text(text)
    return json_text({key: stored.get(key) for key in ("id", "type", "display_value")})


_PLAIN = """id created updated name flow_id state_id deployment_id deployment_version work_queue_id"""
_BEFORE_PARENT = """flow_version parameters idempotency_key context empirical_policy tags labels"""
_AFTER_PARENT = """parent_task_run_id state_type state_name run_count expected_start_time next_scheduled_start_time
    start_time end_time total_run_time auto_scheduled infrastructure_document_id infrastructure_pid created_by"""

FLOW_RUN_COLUMNS: list[sa.ColumnElement[Any]] = [
    *(flow_run.c[name] for name in _PLAIN.split()),
    sa.func.coalesce(work_queue.c.name, flow_run.c.work_queue_name),
    *(flow_run.c[name] for name in _BEFORE_PARENT.split()),
    *(flow_run.c[name] for name in _AFTER_PARENT.split()),
    work_pool.c.id,
    work_pool.c.name,
    *state_columns(flow_run_state),
    flow_run.c.job_variables,
    flow_run.c.state_timestamp,
]
"""The columns of FLOW_RUN_WIRE, to be selected from FLOW_RUN_FROM."""

FLOW_RUN_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("flow_id", "word"),
        Field("state_id", "word"),
        Field("deployment_id", "word"),
        Field("deployment_version", "text"),
        Field("work_queue_id", "word"),
        Field("work_queue_name", "text"),
        Field("flow_version", "text"),
        Field("parameters", "json"),
        Field("idempotency_key", "text"),
        Field("context", "json"),
        Field("empirical_policy", _policy),
        Field("tags", "json"),
        Field("labels", _labels),
        Field("parent_task_run_id", "word"),
        Field("state_type", "word"),
        Field("state_name", "text"),
        Field("run_count", "int"),
        Field("expected_start_time", "time"),
        Field("next_scheduled_start_time", "time"),
        Field("start_time", "time"),
        Field("end_time", "time"),
        Field("total_run_time", "interval"),
        ESTIMATED_RUN_TIME,
        ESTIMATED_START_TIME_DELTA,
        Field("auto_scheduled", "bool"),
        Field("infrastructure_document_id", "word"),
        Field("infrastructure_pid", "text"),
        Field("created_by", _created_by),
        Field("work_pool_id", "word"),
        Field("work_pool_name", "text"),
        Nested("state", STATE_WIRE),
        Field("job_variables", "json"),
        Skip(1, "state_timestamp"),
    ]
)


def joined(runs: sa.FromClause) -> sa.FromClause:
    """`runs` (flow_run, alone or joined) with all that FLOW_RUN_COLUMNS needs."""
    return (
        runs.outerjoin(flow_run_state, flow_run_state.c.id == flow_run.c.state_id)
        .outerjoin(artifact, artifact.c.id == flow_run_state.c.result_artifact_id)
        .outerjoin(work_queue, work_queue.c.id == flow_run.c.work_queue_id)
        .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    )


FLOW_RUN_FROM = joined(flow_run)

SELECT_FLOW_RUN = Statement(
    sa.select(*FLOW_RUN_COLUMNS).select_from(FLOW_RUN_FROM).where(flow_run.c.id == sa.bindparam("id", type_=UUID())),
    raw=True,
)
"""One run for the wire, by its `id`."""


_HEAD = [flow_run.c[name] for name in _PLAIN.split()]
_MIDDLE = [flow_run.c[name] for name in (_BEFORE_PARENT + " " + _AFTER_PARENT).split()]
_TAIL = [flow_run.c.job_variables, flow_run.c.state_timestamp]


def new_row(
    run: dict[str, Any], state: State | None, queue: str | None, pool_id: str | None, pool: str | None, dialect: str
) -> list[Any]:
    """What SELECT_FLOW_RUN would give for a run that was just written; `queue` and `pool` are names."""
    return [
        *raw_cells(_HEAD, run, dialect),
        queue if queue is not None else run["work_queue_name"],
        *raw_cells(_MIDDLE, run, dialect),
        pool_id,
        pool,
        *state_cells(state, dialect),
        *raw_cells(_TAIL, run, dialect),
    ]
