"""What lists of task runs can be filtered by, and how flows, deployments and flow runs are found by their task runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel

from prefect_kernel.filtering import AnyLabel, AnyOf, Clause, Flag, IsNull, Node, Op, Params, Shape, Subject, conjunct
from prefect_kernel.sql import in_list

from ..common.filters import names, tags, times
from ..deployments.filters import DEPLOYMENT_FILTER, DEPLOYMENTS
from ..deployments.tables import deployment
from ..flow_runs.filters import FLOW_RUN_FILTER, FLOW_RUNS
from ..flow_runs.tables import flow_run
from ..flows.filters import FLOW_FILTER, FLOWS
from ..flows.tables import flow
from ..states.schemas import StateType
from .tables import task_run


class _OfFlowRun(Node):
    """`flow_run_id`: `is_null_` is false by default, and then gives way to `any_`; true wins over it."""

    def take(self, value: BaseModel, params: Params) -> Any:
        data = value.__dict__
        null, wanted = data["is_null_"], data["any_"]
        if null or (null is False and wanted is None):
            return (False, ("is_null_", (null,)))
        return (False,) if wanted is None else (False, ("any_", self.members["any_"].take(wanted, params)))


# Aliases: these tables may be in the surrounding statement too, with another meaning.
_subflow = flow_run.alias("subflow")
_tracking = task_run.alias("tracking")
_is_subflow = sa.exists().where(_subflow.c.parent_task_run_id == task_run.c.id)

TASK_RUN_FILTER = Node(
    "TaskRunFilter",
    operator=True,
    id=Node(any_=AnyOf(task_run.c.id, UUID)),
    name=names(task_run.c.name),
    tags=tags(task_run.c.tags),
    state=Node(
        operator=True,
        type=Node(single=True, any_=AnyLabel(task_run.c.state_type, StateType)),
        name=Node(single=True, any_=AnyOf(task_run.c.state_name)),
    ),
    start_time=times(task_run.c.start_time, null=task_run.c.start_time),
    end_time=times(task_run.c.end_time, null=task_run.c.end_time),
    expected_start_time=times(task_run.c.expected_start_time),
    subflow_runs=Node(exists_=Flag(_is_subflow, sa.not_(_is_subflow))),
    flow_run_id=_OfFlowRun(
        operator=True,
        any_=AnyOf(task_run.c.flow_run_id, UUID),
        is_null_=IsNull(task_run.c.flow_run_id, default=False),
    ),
)


class _ParentFlowRun(Op):
    """The run is a subflow of one of these flow runs: its tracking task runs in them."""

    type = list[UUID]

    def take(self, value: list[UUID], params: Params) -> Any:
        params[self.bind] = [str(id) for id in value]
        return True

    def clause(self, token: Any) -> Clause:
        children = sa.select(_tracking.c.id).where(in_list(_tracking.c.flow_run_id, self.bind))
        return flow_run.c.parent_task_run_id.in_(children)


FLOW_RUN_FILTER.add("parent_flow_run_id", Node(operator=True, any_=_ParentFlowRun()), before="parent_task_run_id")


def _given(used: Mapping[str, Clause | None]) -> list[Clause]:
    return [clause for clause in used.values() if clause is not None]


def _runs(used: Mapping[str, Clause | None]) -> sa.FromClause:
    """Flow runs, joined with their task runs when these are filtered too."""
    if "task_runs" not in used:
        return flow_run
    return flow_run.join(task_run, task_run.c.flow_run_id == flow_run.c.id)


def _flow_has(used: Mapping[str, Clause | None]) -> Clause:
    return sa.exists().select_from(_runs(used)).where(flow_run.c.flow_id == flow.c.id, *_given(used))


def _flow_among(used: Mapping[str, Clause | None], alone: bool) -> Clause:
    return flow.c.id.in_(sa.select(flow_run.c.flow_id).select_from(_runs(used)).where(*_given(used)))


def _by_runs(shapes: Mapping[str, Shape]) -> bool:
    """Flows are found by their runs, since SQLite would look at all runs of each flow.

    But not when only the runs' time is asked for: the runs of a flow are indexed by it, and those of a time are many.
    """
    if set(shapes) & {"flow_runs", "task_runs"} != {"flow_runs"}:
        return True
    runs = shapes["flow_runs"]
    timed = any(conjunct(runs, "start_time", bound) for bound in ("after_", "before_"))
    return not timed or any(conjunct(runs, "state", by, "any_") for by in ("type", "name"))


def _deployment_has(used: Mapping[str, Clause | None]) -> Clause:
    return sa.exists().select_from(_runs(used)).where(flow_run.c.deployment_id == deployment.c.id, *_given(used))


def _flow_run_of(used: Mapping[str, Clause | None]) -> Clause:
    conditions = _given(used)
    if "flows" in used:
        conditions.append(flow.c.id == flow_run.c.flow_id)
    if "task_runs" in used:
        conditions.append(task_run.c.flow_run_id == flow_run.c.id)
    return sa.exists().where(*conditions)


_RUNS = {"flow_runs": FLOW_RUN_FILTER, "task_runs": TASK_RUN_FILTER}
FLOWS.relate(_RUNS, _flow_has, among=_flow_among, prefers=_by_runs)
DEPLOYMENTS.relate(_RUNS, _deployment_has)
FLOW_RUNS.relate({"flows": FLOW_FILTER, "task_runs": TASK_RUN_FILTER}, _flow_run_of, {"flows": flow_run.c.flow_id})

TASK_RUNS = Subject("task_runs", TASK_RUN_FILTER, ["flows", "flow_runs", "task_runs", "deployments"])
"""Lists of task runs."""


def _flow_runs_of(used: Mapping[str, Clause | None]) -> sa.FromClause:
    source: sa.FromClause = flow_run
    if "flows" in used:
        source = source.join(flow, flow.c.id == flow_run.c.flow_id)
    if "deployments" in used:
        source = source.join(deployment, deployment.c.id == flow_run.c.deployment_id)
    return source


def _task_run_of(used: Mapping[str, Clause | None]) -> Clause:
    """The task run's flow run matches, as do its flow and its deployment."""
    return sa.exists().select_from(_flow_runs_of(used)).where(flow_run.c.id == task_run.c.flow_run_id, *_given(used))


def _task_run_among(used: Mapping[str, Clause | None], alone: bool) -> Clause:
    """The same, for counts."""
    return task_run.c.flow_run_id.in_(sa.select(flow_run.c.id).select_from(_flow_runs_of(used)).where(*_given(used)))


TASK_RUNS.relate(
    {"flows": FLOW_FILTER, "flow_runs": FLOW_RUN_FILTER, "deployments": DEPLOYMENT_FILTER},
    _task_run_of,
    {"flow_runs": task_run.c.flow_run_id},
    among=_task_run_among,
)
