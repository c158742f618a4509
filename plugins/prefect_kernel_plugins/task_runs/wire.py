"""Task runs as clients see them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import UUID, json_from_text
from prefect_kernel.wire import Field, Nested, Skip, Wire, json_text, stored_json

from ..artifacts.tables import artifact
from ..common.estimates import ESTIMATED_RUN_TIME, ESTIMATED_START_TIME_DELTA
from ..common.policies import TaskRunPolicy, policy_to_json
from ..states.wire import STATE_WIRE, state_columns
from .tables import task_run, task_run_state


@lru_cache(1024)
def _policy(text: str) -> str:
    """A stored policy with every key; there are few different ones."""
    return json_text(policy_to_json(TaskRunPolicy.model_validate(json_from_text(text))))


def _labels(text: str | None) -> str:
    return "{}" if text is None or text == "null" else stored_json(text)


_STORED = """id created updated name flow_run_id task_key dynamic_key cache_key cache_expiration task_version
    empirical_policy tags labels state_id task_inputs state_type state_name run_count flow_run_run_count
    expected_start_time next_scheduled_start_time start_time end_time total_run_time"""

TASK_RUN_COLUMNS: list[sa.ColumnElement[Any]] = [
    *(task_run.c[name] for name in _STORED.split()),
    *state_columns(task_run_state),
    task_run.c.state_timestamp,
]
"""The columns of TASK_RUN_WIRE, to be selected from TASK_RUN_FROM."""

TASK_RUN_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("flow_run_id", "word"),
        Field("task_key", "text"),
        Field("dynamic_key", "text"),
        Field("cache_key", "text"),
        Field("cache_expiration", "time"),
        Field("task_version", "text"),
        Field("empirical_policy", _policy),
        Field("tags", "json"),
        Field("labels", _labels),
        Field("state_id", "word"),
        Field("task_inputs", "json"),
        Field("state_type", "word"),
        Field("state_name", "text"),
        Field("run_count", "int"),
        Field("flow_run_run_count", "int"),
        Field("expected_start_time", "time"),
        Field("next_scheduled_start_time", "time"),
        Field("start_time", "time"),
        Field("end_time", "time"),
        Field("total_run_time", "interval"),
        ESTIMATED_RUN_TIME,
        ESTIMATED_START_TIME_DELTA,
        Nested("state", STATE_WIRE),
        Skip(1, "state_timestamp"),
    ]
)


def joined(runs: sa.FromClause) -> sa.FromClause:
    """`runs` (task_run, alone or joined) with all that TASK_RUN_COLUMNS needs."""
    return runs.outerjoin(task_run_state, task_run_state.c.id == task_run.c.state_id).outerjoin(
        artifact, artifact.c.id == task_run_state.c.result_artifact_id
    )


TASK_RUN_FROM = joined(task_run)

SELECT_TASK_RUN = Statement(
    sa.select(*TASK_RUN_COLUMNS).select_from(TASK_RUN_FROM).where(task_run.c.id == sa.bindparam("id", type_=UUID())),
    raw=True,
)
"""One run for the wire, by its `id`."""
