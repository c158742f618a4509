"""What lists of flow runs can be filtered by. What concerns task runs is added by their slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from prefect_kernel.filtering import AnyLabel, AnyOf, Clause, Flag, IsNull, Node, NoLabel, NoneOf, Subject
from prefect_kernel.sql import json_value

from ..common.filters import ids, names, tags, times
from ..common.planning import unindexed
from ..deployments.filters import DEPLOYMENT_FILTER
from ..deployments.tables import deployment
from ..states.schemas import StateType
from ..work_pools.filters import WORK_POOL_FILTER, WORK_QUEUE_FILTER
from ..work_pools.tables import work_pool, work_queue
from .tables import flow_run

START = sa.func.coalesce(flow_run.c.start_time, flow_run.c.expected_start_time)
"""When a run started, or is expected to."""

FLOW_RUN_FILTER = Node(
    "FlowRunFilter",
    operator=True,
    id=ids(flow_run.c.id),
    name=names(flow_run.c.name),
    tags=tags(flow_run.c.tags, any_=True),
    deployment_id=Node(
        operator=True, any_=AnyOf(flow_run.c.deployment_id, UUID), is_null_=IsNull(flow_run.c.deployment_id)
    ),
    work_queue_name=Node(
        operator=True, any_=AnyOf(flow_run.c.work_queue_name), is_null_=IsNull(flow_run.c.work_queue_name)
    ),
    state=Node(
        operator=True,
        type=Node(
            single=True,
            any_=AnyLabel(flow_run.c.state_type, StateType),
            not_any_=NoLabel(flow_run.c.state_type, StateType),
        ),
        name=Node(single=True, any_=AnyOf(flow_run.c.state_name), not_any_=NoneOf(flow_run.c.state_name)),
    ),
    flow_version=Node(any_=AnyOf(flow_run.c.flow_version)),
    start_time=times(START, null=flow_run.c.start_time),
    end_time=times(flow_run.c.end_time, null=flow_run.c.end_time),
    expected_start_time=times(flow_run.c.expected_start_time),
    next_scheduled_start_time=times(flow_run.c.next_scheduled_start_time),
    parent_task_run_id=Node(
        operator=True,
        any_=AnyOf(flow_run.c.parent_task_run_id, UUID),
        # Most runs have no parent, so that its index is of no use here.
        is_null_=Flag(unindexed(flow_run.c.parent_task_run_id).is_(None), flow_run.c.parent_task_run_id.is_not(None)),
    ),
    idempotency_key=Node(any_=AnyOf(flow_run.c.idempotency_key), not_any_=NoneOf(flow_run.c.idempotency_key)),
    created_by=Node(
        operator=True,
        id_=AnyOf(json_value(flow_run.c.created_by, "id"), UUID),
        type_=AnyOf(json_value(flow_run.c.created_by, "type")),
        is_null_=IsNull(flow_run.c.created_by),
    ),
)

FLOW_RUNS = Subject(
    "flow_runs",
    FLOW_RUN_FILTER,
    ["flows", "flow_runs", "task_runs", "deployments", "work_pools", "work_pool_queues"],
)
"""Lists of flow runs."""


_POOLS_OF_QUEUES = work_queue.join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)


def _of_deployment(used: Mapping[str, Clause | None]) -> Clause:
    return sa.exists().where(deployment.c.id == flow_run.c.deployment_id, *_given(used))


def _found_by(key: sa.ColumnElement[Any], alone: bool) -> sa.ColumnElement[Any]:
    """A foreign key; hidden from its index, which SQLite would take before any other, unless that is the best one."""
    return key if alone else sa.func.coalesce(key, sa.null())


def _among_deployments(used: Mapping[str, Clause | None], alone: bool) -> Clause:
    return _found_by(flow_run.c.deployment_id, alone).in_(sa.select(deployment.c.id).where(*_given(used)))


def _of_pool(used: Mapping[str, Clause | None]) -> Clause:
    return sa.exists().select_from(_POOLS_OF_QUEUES).where(work_queue.c.id == flow_run.c.work_queue_id, *_given(used))


def _among_pools(used: Mapping[str, Clause | None], alone: bool) -> Clause:
    return _found_by(flow_run.c.work_queue_id, alone).in_(
        sa.select(work_queue.c.id).select_from(_POOLS_OF_QUEUES).where(*_given(used))
    )


def _of_queue(used: Mapping[str, Clause | None]) -> Clause:
    return sa.exists().where(work_queue.c.id == flow_run.c.work_queue_id, *_given(used))


def _among_queues(used: Mapping[str, Clause | None], alone: bool) -> Clause:
    return _found_by(flow_run.c.work_queue_id, alone).in_(sa.select(work_queue.c.id).where(*_given(used)))


def _given(used: Mapping[str, Clause | None]) -> list[Clause]:
    return [clause for clause in used.values() if clause is not None]


FLOW_RUNS.relate(
    {"deployments": DEPLOYMENT_FILTER},
    _of_deployment,
    {"deployments": flow_run.c.deployment_id},
    among=_among_deployments,
)
FLOW_RUNS.relate({"work_pools": WORK_POOL_FILTER}, _of_pool, among=_among_pools)
FLOW_RUNS.relate(
    {"work_pool_queues": WORK_QUEUE_FILTER},
    _of_queue,
    {"work_pool_queues": flow_run.c.work_queue_id},
    among=_among_queues,
)
