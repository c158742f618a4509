"""Statements and units of single flow runs: read, change, delete."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.declare import Declared, carry_out
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import JSON, UUID, Timestamp

from ..common.job_variables import check_job_variables
from ..common.parameters import CircularReference, ParameterError
from ..common.policies import policy_to_json
from ..concurrency_limits_v2.held import give_back
from ..deployments.tables import deployment
from ..logs.tables import log
from ..work_pools.tables import work_pool, work_queue
from .schemas import FlowRunUpdate
from .tables import flow_run
from .transitions import load
from .wire import SELECT_FLOW_RUN

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_ID = flow_run.c.id == sa.bindparam("run_id", type_=UUID())
_CHANGEABLE = "name flow_version parameters empirical_policy tags infrastructure_pid job_variables".split()
_DELETE = Statement(
    sa.delete(flow_run).where(
        _ID, flow_run.c.state_id.is_not_distinct_from(sa.bindparam("seen_state_id", type_=UUID()))
    )
)
"""Guarded: a transition in between may have taken or given back a slot."""
_DELETE_LOGS = Statement(sa.delete(log).where(log.c.flow_run_id == sa.bindparam("run_id", type_=UUID())))
_LABELS = Statement(sa.select(flow_run.c.labels).where(_ID).with_for_update())
_SET_LABELS = Statement(
    sa.update(flow_run)
    .values(labels=sa.bindparam("new_labels", type_=JSON()), updated=sa.bindparam("now", type_=Timestamp()))
    .where(_ID)
)
_JOB_TEMPLATE = Statement(
    sa.select(work_pool.c.base_job_template, deployment.c.infra_overrides)
    .select_from(
        deployment.join(work_queue, work_queue.c.id == deployment.c.work_queue_id).join(
            work_pool, work_pool.c.id == work_queue.c.work_pool_id
        )
    )
    .where(deployment.c.id == sa.bindparam("id", type_=UUID()))
)
_updates: dict[tuple[str, ...], Statement] = {}


def _update(names: tuple[str, ...]) -> Statement:
    """The update of some columns; there are at most 128 such statements."""
    statement = _updates.get(names)
    if statement is None:
        values = {name: sa.bindparam(name, type_=flow_run.c[name].type) for name in (*names, "updated")}
        statement = _updates[names] = Statement(sa.update(flow_run).values(values).where(_ID))
    return statement


@point_read
def by_id(id: str) -> Unit[Any]:
    """The raw row of a run for the wire, or None."""
    rows = yield SELECT_FLOW_RUN(id=id)
    return rows[0] if rows else None


def update(id: str, body: FlowRunUpdate, now: datetime) -> Unit[bool]:
    """Change the members that were given; False when there is no such run. Raises BadRequest."""
    if body.job_variables is not None:
        found = yield from load(id)
        if found is None:
            return False
        _, state, context = found
        if state is None:
            raise errors.BadRequest("Flow run state is required to update job variables but none exists")
        if state.type != "SCHEDULED":
            raise errors.BadRequest(f"Job variables for a flow run in state {state.type} cannot be updated")
        if context.get("deployment") is None:
            raise errors.BadRequest("A deployment for the flow run could not be found")
        yield from _check_job_variables(context["deployment"]["id"], body.job_variables)
    names = tuple(name for name in _CHANGEABLE if name in body.model_fields_set)
    values: dict[str, Any] = {name: getattr(body, name) for name in names}
    if "empirical_policy" in values:
        values["empirical_policy"] = policy_to_json(body.empirical_policy)
    changed = yield _update(names).bind({**values, "updated": now, "run_id": id})
    return bool(changed)


def _check_job_variables(deployment_id: str, given: dict[str, Any]) -> Unit[None]:
    rows = yield _JOB_TEMPLATE(id=deployment_id)
    if not rows:  # served by a process of its own, without a work pool
        return
    template, of_deployment = rows[0]
    try:
        yield from check_job_variables(template, of_deployment, given)
    except ParameterError as error:
        raise errors.Unprocessable(f"Error updating flow run: {error}") from None
    except CircularReference:
        raise errors.Unprocessable("Invalid schema: Unable to validate schema with circular references.") from None


def add_labels(id: str, labels: dict[str, Any], now: datetime) -> Unit[None]:
    """Merge labels into a run's. Raises ObjectNotFound."""
    rows = yield _LABELS(run_id=id)
    if not rows:
        raise errors.ObjectNotFound(f"Flow run with id {id} not found")
    yield _SET_LABELS(run_id=id, new_labels={**(rows[0][0] or {}), **labels}, now=now)


def delete(kernel: Kernel, id: str, now: datetime) -> Unit[Declared | None]:
    """Delete a run with its logs, giving back the deployment slot that it held; None when there is no such run."""
    found = yield from load(id)
    if found is None:
        return None
    run, state, context = found
    declared = Declared()
    held = context.get("deployment")
    if held and held["limit"] and state is not None and state.type in ("PENDING", "RUNNING", "CANCELLING"):
        lease = state.details["deployment_concurrency_lease_id"]
        yield from give_back(kernel, declared, id, lease, held["limit"], now)
    deleted = yield _DELETE(run_id=id, seen_state_id=run["state_id"])
    if not deleted:
        raise errors.Raced
    yield _DELETE_LOGS(run_id=id)
    yield from carry_out(declared.writes)
    return declared
