"""Creating a flow run, with its first state.

Run, state, result and event are one transaction: a crash before its commit leaves nothing, after it everything. With an
idempotency key a repeated request finds the run of the first one and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.engine import decide
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID
from prefect_kernel.transition import Move, State

from ..common.policies import policy_to_json
from ..deployments.tables import deployment
from ..flows.tables import flow
from ..work_pools.tables import work_pool, work_queue
from .schemas import FlowRunCreate
from .tables import flow_run
from .transitions import (
    DEPLOYMENT_COLUMNS,
    DEPLOYMENT_KEYS,
    LIMIT_COLUMNS,
    LIMIT_KEYS,
    RELATED_COLUMNS,
    concurrency_limit_v2,
    insert_new,
    task_run,
)
from .wire import SELECT_FLOW_RUN, new_row

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_COLUMNS = [column.name for column in flow_run.columns]
_BY_KEY = Statement(
    sa.select(flow_run.c.id).where(
        flow_run.c.flow_id == sa.bindparam("flow_id", type_=UUID()),
        flow_run.c.idempotency_key == sa.bindparam("idempotency_key"),
    )
)
PARENTS = Statement(
    sa.select(flow.c.labels, *RELATED_COLUMNS)
    .select_from(
        flow.outerjoin(deployment, deployment.c.id == sa.bindparam("deployment_id", type_=UUID()))
        .outerjoin(work_queue, work_queue.c.id == sa.bindparam("queue_id", type_=UUID()))
        .outerjoin(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
        .outerjoin(task_run, task_run.c.id == sa.bindparam("parent_id", type_=UUID()))
    )
    .where(flow.c.id == sa.bindparam("id", type_=UUID()))
)
"""Labels that a run inherits from its flow, and what its events relate to."""
_DEPLOYMENT = Statement(
    sa.select(deployment.c.labels, deployment.c.flow_id, *DEPLOYMENT_COLUMNS, *LIMIT_COLUMNS)
    .select_from(
        deployment.outerjoin(concurrency_limit_v2, concurrency_limit_v2.c.id == deployment.c.concurrency_limit_id)
    )
    .where(deployment.c.id == sa.bindparam("id", type_=UUID()))
)
_POOL = Statement(
    sa.select(work_pool.c.id, work_pool.c.default_queue_id).where(work_pool.c.name == sa.bindparam("pool"))
)
_QUEUE = Statement(
    sa.select(work_queue.c.id)
    .select_from(work_queue.join(work_pool, work_pool.c.id == work_queue.c.work_pool_id))
    .where(work_pool.c.name == sa.bindparam("pool"), work_queue.c.name == sa.bindparam("queue"))
)

EMPTY_RUN: dict[str, Any] = {
    **dict.fromkeys(_COLUMNS),
    "run_count": 0,
    "total_run_time": timedelta(0),
    "parameters": {},
    "context": {},
    "tags": [],
    "auto_scheduled": False,
    "job_variables": {},
}
"""The columns of a new run that nobody has said anything about."""


def work_queue_id(pool: str, queue: str | None) -> Unit[str | None]:
    """The id of a queue of a pool, of its default queue when none is named. Raises NotFound."""
    if queue is None:
        rows = yield _POOL(pool=pool)
        if not rows:
            raise errors.NotFound(f'Work pool "{pool}" not found.')
        default: str | None = rows[0][1]
        return default
    rows = yield _QUEUE(pool=pool, queue=queue)
    if not rows:
        raise errors.NotFound(f"Work pool queue '{pool}/{queue}' not found.")
    found: str = rows[0][0]
    return found


def insert_run(
    kernel: Kernel,
    run: dict[str, Any],
    context: dict[str, Any],
    make: Callable[[datetime], State],
    now: datetime,
    *,
    api_version: tuple[int, int, int] | None = None,
    client_version: str | None = None,
    last: bool = True,
) -> Unit[tuple[str, bool, Move | None]]:
    """Insert a run and force its first state: the run's id, whether it is new, and the transition.

    `run` holds all columns, `context` is that of a Move; `last` says that the unit writes nothing else. A run of the
    same flow with the same idempotency key is left alone and its id given. Raises IntegrityViolation for a second run
    with the empty key.
    """
    key = run["idempotency_key"]
    if key is not None:
        rows = yield _BY_KEY(flow_id=run["flow_id"], idempotency_key=key)
        if rows and not key:  # an empty key finds nothing, but is as unique as any other
            raise errors.IntegrityViolation("a run of this flow has the empty idempotency key")
        if rows:
            return rows[0][0], False, None
    move = Move(
        kernel,
        "flow_run",
        run,
        None,
        make(now),
        now,
        context=context,
        api_version=api_version,
        client_version=client_version,
    )
    yield from decide(move, kernel.policies["minimal-flow"], kernel.policies["global-flow"])
    yield from insert_new(move, last=last)
    return run["id"], True, move


def create(
    kernel: Kernel,
    body: FlowRunCreate,
    make: Callable[[datetime], State],
    now: datetime,
    created_by: dict[str, Any] | None,
    api_version: tuple[int, int, int] | None,
    client_version: str | None,
) -> Unit[tuple[Any, bool]]:
    """Create a run as POST /flow_runs/ does: the raw row for the wire, and whether it is new."""
    queue_id = None
    if body.work_pool_name:
        queue_id = yield from work_queue_id(body.work_pool_name, body.work_queue_name or None)
    flow_id = str(body.flow_id)
    deployment_id = None if body.deployment_id is None else str(body.deployment_id)
    context: dict[str, Any] = {}
    parent_labels: dict[str, Any] | None = None
    if deployment_id is not None:
        rows = yield _DEPLOYMENT(id=deployment_id)
        context["deployment"] = None
        if rows:
            labels, deployment_flow, *rest = rows[0]
            found = dict(zip(DEPLOYMENT_KEYS, rest, strict=False))
            limit = dict(zip(LIMIT_KEYS, rest[len(DEPLOYMENT_KEYS) :], strict=True))
            found["limit"] = limit if limit["id"] is not None else None
            context["deployment"] = found
            parent_labels = {
                **(labels or {}),
                "prefect.flow.id": deployment_flow,
                "prefect.deployment.id": deployment_id,
            }
    parent_id = None if body.parent_task_run_id is None else str(body.parent_task_run_id)
    rows = yield PARENTS(id=flow_id, deployment_id=deployment_id, queue_id=queue_id, parent_id=parent_id)
    context["related"] = rows[0][1:] if rows else None
    if parent_labels is None:
        parent_labels = {**((rows[0][0] if rows else None) or {}), "prefect.flow.id": flow_id}
    run = {
        **EMPTY_RUN,
        "id": uuid4(),
        "created": now,
        "updated": now,
        "name": body.name,
        "flow_id": flow_id,
        "flow_version": body.flow_version,
        "parameters": body.parameters,
        "context": body.context,
        "parent_task_run_id": parent_id,
        "infrastructure_document_id": (
            None if body.infrastructure_document_id is None else str(body.infrastructure_document_id)
        ),
        "empirical_policy": policy_to_json(body.empirical_policy),
        "tags": body.tags,
        "labels": {**parent_labels, **(body.labels or {})},
        "idempotency_key": body.idempotency_key,
        "work_queue_name": body.work_queue_name,
        "work_queue_id": queue_id,
        # The reference's two ways to insert differ: only the one with a key takes null as null.
        "job_variables": body.job_variables if body.idempotency_key else body.job_variables or {},
        "deployment_id": deployment_id,
        "created_by": created_by,
    }
    try:
        id, new, move = yield from insert_run(
            kernel, run, context, make, now, api_version=api_version, client_version=client_version
        )
    except errors.ObjectNotFound as error:  # the parent task run, which the database refuses too
        raise errors.IntegrityViolation(error.message) from None
    if move is not None and context["related"] is not None:
        queue, pool_id, pool = context["related"][4:7]
        return new_row(run, move.validated, queue, pool_id, pool, kernel.storage.dialect), new
    rows = yield SELECT_FLOW_RUN(id=id)
    return rows[0], new


__all__ = ["EMPTY_RUN", "create", "insert_run", "work_queue_id"]
