"""The first version's graph: the task runs of a flow run, each with the runs whose results it takes."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors, web
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID, json_from_text
from prefect_kernel.wire import Derived, Field, Nested, Skip, Wire, json_text

from ..common.estimates import ESTIMATED_RUN_TIME
from ..flow_runs.tables import flow_run
from ..states.wire import STATE_WIRE, state_columns
from ..task_runs.tables import task_run, task_run_state
from ..task_runs.wire import joined
from .group import group

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


def upstream(text: str) -> str:
    """The runs among a task run's inputs, each once."""
    inputs: dict[str, list[dict[str, Any]]] = json_from_text(text)
    results = [item for item in itertools.chain(*inputs.values()) if "id" in item]
    return json_text(
        list({item["id"]: {"input_type": item["input_type"], "id": item["id"]} for item in results}.values())
    )


def _untrackable(details: str | None, now: datetime) -> str:
    return json_text(bool(details is not None and json_from_text(details).get("untrackable_result")))


_WIRE = Wire(
    [
        Field("id", "word"),
        Field("name", "text"),
        Field("upstream_dependencies", upstream),
        Nested("state", STATE_WIRE),
        Field("expected_start_time", "time"),
        Field("start_time", "time"),
        Field("end_time", "time"),
        Field("total_run_time", "interval"),
        ESTIMATED_RUN_TIME,
        Derived("untrackable_result", ("details",), _untrackable),
        Skip(1, "state_type"),
        Skip(1, "state_timestamp"),
        Skip(1, "details"),
    ]
)
_RUN_ID = sa.bindparam("run_id", type_=UUID())
_RUN = Statement(sa.select(flow_run.c.id).where(flow_run.c.id == _RUN_ID))
_c = task_run.c
_TASK_RUNS = Statement(
    sa.select(
        _c.id,
        _c.name,
        _c.task_inputs,
        *state_columns(task_run_state),
        _c.expected_start_time,
        _c.start_time,
        _c.end_time,
        _c.total_run_time,
        _c.state_type,
        _c.state_timestamp,
        task_run_state.c.state_details,
    )
    .select_from(joined(task_run))
    .where(_c.flow_run_id == _RUN_ID)
    .order_by(_c.id.desc()),
    raw=True,
)


def dependencies_of(kernel: Kernel, run_id: str) -> Unit[bytes]:
    """The task runs of a flow run as JSON. Raises ObjectNotFound."""
    found = yield _RUN(run_id=run_id)
    if not found:
        raise errors.ObjectNotFound(f"Flow run with id {run_id} not found")
    rows = yield _TASK_RUNS(run_id=run_id)
    return _WIRE.many(kernel.storage.dialect, rows, kernel.clock.now())


@group.get("/{id:uuid}/graph", permission="read", response="DependencyResult[]")
async def read_flow_run_graph_v1(request: web.Request) -> web.Reply:
    """The task runs of a flow run, and what each depends on."""
    kernel = request.kernel
    return web.raw(await kernel.storage.read(dependencies_of, kernel, request.path["id"]))
