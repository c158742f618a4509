"""Task runs as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import UUID, json_from_text
from prefect_kernel.transition import State
from prefect_kernel.wire import Derived, Field, Nested, Skip, Wire, json_text, stored_json

from ..artifacts.tables import artifact
from ..common.estimates import ESTIMATED_RUN_TIME, ESTIMATED_START_TIME_DELTA
from ..common.policies import TaskRunPolicy, policy_to_json
from ..common.raw_rows import raw_cells
from ..states.wire import STATE_WIRE, state_cells, state_columns
from .tables import task_run, task_run_state


@lru_cache(1024)
def _policy(text: str) -> str:
    """A stored policy with every key; there are few different ones."""
    return json_text(policy_to_json(TaskRunPolicy.model_validate(json_from_text(text))))


def _inputs_sqlite(text: str, now: datetime) -> str:
    return stored_json(text)


def _inputs_postgresql(text: str, now: datetime) -> str:
    """On PostgreSQL jsonb has sorted the keys of each input; the wire has `input_type` first."""
    if text == "{}":
        return text
    given: dict[str, list[dict[str, Any]]] = json_from_text(text)
    return json_text({name: [{"input_type": i["input_type"], **i} for i in inputs] for name, inputs in given.items()})


_MEMBERS: dict[str, Field | Derived | Nested] = {
    "id": Field("id", "word"),
    "created": Field("created", "time"),
    "updated": Field("updated", "time"),
    "name": Field("name", "text"),
    "flow_run_id": Field("flow_run_id", "word"),
    "task_key": Field("task_key", "text"),
    "dynamic_key": Field("dynamic_key", "text"),
    "cache_key": Field("cache_key", "text"),
    "cache_expiration": Field("cache_expiration", "time"),
    "task_version": Field("task_version", "text"),
    "empirical_policy": Field("empirical_policy", _policy),
    "tags": Field("tags", "json"),
    "labels": Field("labels", "json"),
    "state_id": Field("state_id", "word"),
    "task_inputs": Derived("task_inputs", ("inputs",), _inputs_sqlite, _inputs_postgresql),
    "state_type": Field("state_type", "word"),
    "state_name": Field("state_name", "text"),
    "run_count": Field("run_count", "int"),
    "flow_run_run_count": Field("flow_run_run_count", "int"),
    "expected_start_time": Field("expected_start_time", "time"),
    "next_scheduled_start_time": Field("next_scheduled_start_time", "time"),
    "start_time": Field("start_time", "time"),
    "end_time": Field("end_time", "time"),
    "total_run_time": Field("total_run_time", "interval"),
    "estimated_run_time": ESTIMATED_RUN_TIME,
    "estimated_start_time_delta": ESTIMATED_START_TIME_DELTA,
    "state": Nested("state", STATE_WIRE),
}


def _build(names: Sequence[str], hidden: Sequence[str]) -> tuple[list[sa.ColumnElement[Any]], Wire]:
    """The columns and the wire of some members; `hidden` columns are selected for derived members only."""
    columns: list[sa.ColumnElement[Any]] = []
    for name in names:
        member = _MEMBERS[name]
        if isinstance(member, Field):
            columns.append(task_run.c[name])
        elif isinstance(member, Nested):
            columns.extend(state_columns(task_run_state))
    columns.extend(task_run.c[name] for name in hidden)
    skipped = [Skip(1, "inputs" if name == "task_inputs" else name) for name in hidden]
    return columns, Wire([*(_MEMBERS[name] for name in names), *skipped])


TASK_RUN_COLUMNS, TASK_RUN_WIRE = _build(list(_MEMBERS), ["state_timestamp", "task_inputs"])
"""A task run; the columns are to be selected from TASK_RUN_FROM."""

_PAGE = (
    "id created updated name flow_run_id task_key state_id state task_version task_inputs empirical_policy tags"
    " start_time end_time total_run_time estimated_run_time estimated_start_time_delta"
)
TASK_RUN_PAGE_COLUMNS, TASK_RUN_PAGE_WIRE = _build(
    _PAGE.split(), ["state_type", "state_timestamp", "expected_start_time", "task_inputs"]
)
"""A task run in an answer of `paginate`, where the reference shows less of it."""


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
"""One task run for the wire, by its `id`."""


_STORED = [task_run.c[name] for name, member in _MEMBERS.items() if isinstance(member, Field)]
_HIDDEN = [task_run.c.state_timestamp, task_run.c.task_inputs]


def new_row(run: dict[str, Any], state: State | None, dialect: str) -> list[Any]:
    """What SELECT_TASK_RUN would give for a run that was just written."""
    return [*raw_cells(_STORED, run, dialect), *state_cells(state, dialect), *raw_cells(_HIDDEN, run, dialect)]
