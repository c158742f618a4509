"""Making a run of a deployment.

The deployment's parameters are overlaid with the run's, hydrated, and checked against the deployment's schema; its job
variables and the run's must suit the work pool. All of it, the run included, is one transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID

from ..common.hydration import HydrationError, hydrate, needed_variables
from ..common.job_variables import check_job_variables
from ..common.parameters import CircularReference, ParameterError, check
from ..common.policies import policy_to_json
from ..concurrency_limits_v2.tables import concurrency_limit_v2
from ..deployments.tables import deployment
from ..deployments.upsert import CIRCULAR
from ..flow_runs.create import EMPTY_RUN, PARENTS, insert_run
from ..flow_runs.transitions import DEPLOYMENT_KEYS, LIMIT_COLUMNS, LIMIT_KEYS
from ..flow_runs.wire import SELECT_FLOW_RUN, new_row
from ..states import StateCreate, to_state
from ..work_pools.queries import get_or_create_queue
from ..work_pools.tables import work_pool, work_queue
from .schemas import DeploymentFlowRunCreate

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_COLUMNS = [
    deployment.c[name]
    for name in (
        "id name concurrency_limit_id concurrency_options tags flow_id version parameters parameter_openapi_schema"
        " enforce_parameter_schema infra_overrides labels work_queue_id work_queue_name infrastructure_document_id"
    ).split()
]
_KEYS = [column.name for column in _COLUMNS]
_DEPLOYMENT = Statement(
    sa.select(*_COLUMNS, work_pool.c.name, work_pool.c.base_job_template, *LIMIT_COLUMNS)
    .select_from(
        deployment.outerjoin(work_queue, work_queue.c.id == deployment.c.work_queue_id)
        .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
        .outerjoin(concurrency_limit_v2, concurrency_limit_v2.c.id == deployment.c.concurrency_limit_id)
    )
    .where(deployment.c.id == sa.bindparam("id", type_=UUID()))
)
_SCHEDULED = StateCreate.model_validate({"type": "SCHEDULED"})


class Deployment:
    """What a run takes from its deployment."""

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.columns = dict(zip(_KEYS, row, strict=False))
        self.pool: str | None
        self.pool, self.template, *limit = row[len(_KEYS) :]
        found = dict(zip(LIMIT_KEYS, limit, strict=True))
        self.context = {name: self.columns[name] for name in DEPLOYMENT_KEYS}
        self.context["limit"] = found if found["id"] is not None else None
        """As transitions are told about it."""

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]


def load(id: str) -> Unit[Deployment | None]:
    """The deployment of that id."""
    rows = yield _DEPLOYMENT(id=id)
    return Deployment(rows[0]) if rows else None


def parameters_of(of: Deployment, body: DeploymentFlowRunCreate) -> Unit[Any]:
    """The run's parameters. Raises HydrationError."""
    given = {**of["parameters"], **body.parameters}
    return hydrate(given, (yield from needed_variables(given)))


def enforced(of: Deployment, body: DeploymentFlowRunCreate) -> bool:
    """Whether the parameters must conform to the deployment's schema."""
    choice = body.enforce_parameter_schema
    return bool(of["enforce_parameter_schema"] if choice is None else choice)


def check_variables(of: Deployment, body: DeploymentFlowRunCreate) -> Unit[None]:
    """The job variables must suit the work pool. Raises Unprocessable or NotFound."""
    if of.pool is None:  # served by a process of its own
        return
    try:
        yield from check_job_variables(of.template, of["infra_overrides"], body.job_variables)
    except ParameterError as error:
        raise errors.Unprocessable(f"Error creating flow run: {error}") from None
    except CircularReference:
        raise errors.Unprocessable(CIRCULAR) from None


def queue_of(kernel: Kernel, of: Deployment, name: str | None, now: datetime) -> Unit[tuple[str | None, str | None]]:
    """Id and name of the queue that a run waits in; a queue that is named and not there is made."""
    if not name:
        return of["work_queue_id"], of["work_queue_name"]
    assert of.pool is not None
    return (yield from get_or_create_queue(kernel, of.pool, name, now)), name


def insert(
    kernel: Kernel,
    of: Deployment,
    body: DeploymentFlowRunCreate,
    parameters: Any,
    queue: tuple[str | None, str | None],
    now: datetime,
    created_by: dict[str, Any] | None,
    *,
    last: bool,
) -> Unit[tuple[str, bool, Any]]:
    """Store a run: its id, whether it is new, and its row for the wire if that is known without reading it."""
    queue_id, queue_name = queue
    parent_id = None if body.parent_task_run_id is None else str(body.parent_task_run_id)
    rows = yield PARENTS(id=of["flow_id"], deployment_id=of["id"], queue_id=queue_id, parent_id=parent_id)
    related = rows[0][1:]
    labels = {
        **(of["labels"] or {}),
        "prefect.flow.id": of["flow_id"],
        "prefect.deployment.id": of["id"],
        **(body.labels or {}),
    }
    block = body.infrastructure_document_id
    run = {
        **EMPTY_RUN,
        "id": uuid4(),
        "created": now,
        "updated": now,
        "name": body.name,
        "flow_id": of["flow_id"],
        "deployment_id": of["id"],
        "deployment_version": of["version"],
        "parameters": parameters,
        "context": body.context,
        "parent_task_run_id": parent_id,
        "infrastructure_document_id": of["infrastructure_document_id"] if block is None else str(block),
        "empirical_policy": policy_to_json(body.empirical_policy),
        "tags": list(dict.fromkeys([*of["tags"], *body.tags])),
        "labels": labels,
        "idempotency_key": body.idempotency_key,
        "work_queue_name": queue_name,
        "work_queue_id": queue_id,
        # As when a run is created otherwise: only with a key is null taken as null.
        "job_variables": body.job_variables if body.idempotency_key else body.job_variables or {},
        "created_by": created_by,
    }
    context = {"deployment": {**of.context}, "related": related}
    state = body.state or _SCHEDULED
    try:
        id, new, move = yield from insert_run(kernel, run, context, lambda at: to_state(state, at), now, last=last)
    except errors.ObjectNotFound as error:  # the parent task run, which the database refuses too
        raise errors.IntegrityViolation(error.message) from None
    row = None
    if move is not None:
        name, pool_id, pool = related[4:7]
        row = new_row(run, move.validated, name, pool_id, pool, kernel.storage.dialect)
    return id, new, row


def create(
    kernel: Kernel,
    deployment_id: str,
    body: DeploymentFlowRunCreate,
    now: datetime,
    created_by: dict[str, Any] | None,
) -> Unit[tuple[Any, bool]]:
    """Make a run of a deployment: its raw row for the wire, and whether it is new. Raises HttpErrors."""
    of = yield from load(deployment_id)
    if of is None:
        raise errors.NotFound("Deployment not found")
    try:
        parameters = yield from parameters_of(of, body)
    except HydrationError as error:
        raise errors.BadRequest(f"Error hydrating flow run parameters: {error}") from None
    if enforced(of, body):
        schema = of["parameter_openapi_schema"]
        if not isinstance(schema, dict):
            raise errors.Conflict(
                "Error updating deployment: Cannot update parameters because parameter schema enforcement is enabled"
                " and the deployment does not have a valid parameter schema."
            )
        try:
            check(parameters, schema)
        except ParameterError as error:
            raise errors.Conflict(f"Error creating flow run: {error}") from None
        except CircularReference:
            raise errors.Unprocessable(CIRCULAR) from None
    yield from check_variables(of, body)
    if body.work_queue_name and of.pool is None:
        raise errors.BadRequest(
            f"Cannot create flow run in work queue {body.work_queue_name} because deployment {deployment_id} is not"
            " associated with a work pool. Please remove work_pool_name and try again."
        )
    queue = yield from queue_of(kernel, of, body.work_queue_name, now)
    id, new, row = yield from insert(
        kernel, of, body, parameters, queue, now, created_by, last=not body.work_queue_name
    )
    if row is None:
        row = (yield SELECT_FLOW_RUN(id=id))[0]
    return row, new
