"""What lists of deployments can be filtered by, and how flows are found by their deployments."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from pydantic import BaseModel

from prefect_kernel.filtering import AnyOf, Clause, Flag, Like, Node, Op, Params, Subject

from ..common.filters import ids, names, tags
from ..flows.filters import FLOW_FILTER, FLOWS
from ..flows.tables import flow
from ..work_pools.filters import WORK_POOL_FILTER, WORK_QUEUE_FILTER
from ..work_pools.tables import work_pool, work_queue
from .tables import deployment


class _Ignored(Op):
    """Accepted for old clients, without effect."""

    def __init__(self, type_: type) -> None:
        self.type = type_

    def take(self, value: object, params: Params) -> None:
        return None


class _IgnoredNode(Node):
    """As `_Ignored`, also where it would be one of several alternatives."""

    def take(self, value: BaseModel, params: Params) -> None:
        return None


# Aliases: these tables may be in the surrounding statement too, with another meaning.
_its_flow = flow.alias("its_flow")
_flow_name = sa.select(_its_flow.c.name).where(_its_flow.c.id == deployment.c.flow_id).scalar_subquery()
_its_deployment = deployment.alias("its_deployment")
_has_deployment = sa.exists().where(_its_deployment.c.flow_id == flow.c.id)

DEPLOYMENT_FILTER = Node(
    "DeploymentFilter",
    operator=True,
    id=ids(deployment.c.id),
    name=names(deployment.c.name),
    flow_or_deployment_name=Node(like_=Like(deployment.c.name, _flow_name)),
    paused=Node(eq_=Flag(deployment.c.paused.is_(sa.true()), deployment.c.paused.is_(sa.false()))),
    tags=tags(deployment.c.tags, any_=True),
    work_queue_name=Node(any_=AnyOf(deployment.c.work_queue_name)),
    concurrency_limit=_IgnoredNode(ge_=_Ignored(int), le_=_Ignored(int), is_null_=_Ignored(bool)),
)

FLOW_FILTER.add(
    "deployment", Node(operator=True, is_null_=Flag(sa.not_(_has_deployment), _has_deployment)), before="name"
)


def _flow_has(used: Mapping[str, Clause | None]) -> Clause:
    """The flow has a deployment that matches, in a work pool that matches."""
    source: sa.FromClause = deployment
    conditions = [deployment.c.flow_id == flow.c.id, *(clause for clause in used.values() if clause is not None)]
    if "work_pools" in used:
        source = deployment.join(work_queue, work_queue.c.id == deployment.c.work_queue_id).join(
            work_pool, work_pool.c.id == work_queue.c.work_pool_id
        )
    return sa.exists().select_from(source).where(*conditions)


FLOWS.relate({"deployments": DEPLOYMENT_FILTER, "work_pools": WORK_POOL_FILTER}, _flow_has)

DEPLOYMENTS = Subject(
    "deployments",
    DEPLOYMENT_FILTER,
    ["flows", "flow_runs", "task_runs", "deployments", "work_pools", "work_pool_queues"],
)
"""Lists of deployments."""


def _of_flow(used: Mapping[str, Clause | None]) -> Clause:
    return sa.exists().where(flow.c.id == deployment.c.flow_id, *(c for c in used.values() if c is not None))


def _in_queue(used: Mapping[str, Clause | None]) -> Clause:
    """The deployment's work queue matches, and its work pool does."""
    source: sa.FromClause = work_queue
    if "work_pools" in used:
        source = work_queue.join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
    conditions = [clause for clause in used.values() if clause is not None]
    return sa.exists().select_from(source).where(work_queue.c.id == deployment.c.work_queue_id, *conditions)


DEPLOYMENTS.relate({"flows": FLOW_FILTER}, _of_flow, {"flows": deployment.c.flow_id})
DEPLOYMENTS.relate({"work_pools": WORK_POOL_FILTER, "work_pool_queues": WORK_QUEUE_FILTER}, _in_queue)

__all__ = ["DEPLOYMENTS", "DEPLOYMENT_FILTER"]
