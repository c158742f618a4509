"""Creating a deployment, or changing the one of that flow and name.

What is given is set; the schedules are replaced in any case, and runs that the old ones have made are deleted.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Call, Statement, Unit, inserting
from prefect_kernel.sql.types import UUID

from ..blocks.tables import block_document
from ..common.job_variables import check_job_variables
from ..common.parameters import CircularReference, ParameterError
from ..flows.tables import flow
from ..work_pools.queries import DEFAULT_AGENT_POOL, default_queue_id, ensure_queue, get_or_create_queue
from ..work_pools.tables import work_pool
from . import schedule_rows
from .events import event_calls, updated_calls
from .limits import need_limit, set_limit
from .queries import by_id, drop_scheduled, facts_of
from .schemas import DeploymentCreate, DeploymentUpdate
from .tables import deployment

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_BEFORE = Statement(
    sa.select(flow.c.labels, deployment.c.id)
    .select_from(
        flow.outerjoin(
            deployment, sa.and_(deployment.c.flow_id == flow.c.id, deployment.c.name == sa.bindparam("name"))
        )
    )
    .where(flow.c.id == sa.bindparam("flow_id", type_=UUID()))
)
_TEMPLATE = Statement(sa.select(work_pool.c.base_job_template).where(work_pool.c.name == sa.bindparam("pool")))
_BLOCK = Statement(sa.select(block_document.c.id).where(block_document.c.id == sa.bindparam("id", type_=UUID())))

_COLUMNS = [column.name for column in deployment.columns]
_VALUES = {name: sa.bindparam(name, type_=deployment.c[name].type) for name in _COLUMNS}
_KEY = ["flow_id", "name"]
_NEW: dict[str, Any] = {
    **dict.fromkeys(_COLUMNS),
    "tags": [],
    "parameters": {},
    "parameter_openapi_schema": {},
    "infra_overrides": {},
    "pull_steps": [],
    "enforce_parameter_schema": True,
    "paused": False,
    "status": "NOT_READY",
}
"""The columns of a deployment that nobody has said anything about."""

_AS_THEY_ARE = (
    "paused enforce_parameter_schema parameter_openapi_schema parameters tags pull_steps work_queue_name"
    " storage_document_id infrastructure_document_id description path version entrypoint"
).split()
CIRCULAR = "Invalid schema: Unable to validate schema with circular references."
_BLOCK_ERROR = (
    "Error creating deployment. Could not find {kind} block with id: {id}. This usually occurs when applying a"
    " deployment specification that was built against a different Prefect database / workspace."
)


@lru_cache(256)
def _upsert(given: tuple[str, ...]) -> Statement:
    """Insert a deployment, or set the given columns of the one that is there; gives its id."""

    def write(insert: Any) -> Any:
        statement = insert(deployment).values(_VALUES)
        changes = {name: statement.excluded[name] for name in given}
        return statement.on_conflict_do_update(index_elements=_KEY, set_=changes).returning(deployment.c.id)

    return Statement(inserting(write))


def pool_template(pool: str) -> Unit[dict[str, Any]]:
    """The base job template of the work pool of that name. Raises NotFound."""
    rows = yield _TEMPLATE(pool=pool)
    if not rows:
        raise errors.NotFound(f'Work pool "{pool}" not found.')
    found: dict[str, Any] = rows[0][0]
    return found


def columns(body: DeploymentCreate | DeploymentUpdate) -> dict[str, Any]:
    """The columns that a body sets by itself."""
    given = body.model_fields_set
    values = {name: getattr(body, name) for name in _AS_THEY_ARE if name in given}
    for name in ("storage_document_id", "infrastructure_document_id"):
        if values.get(name) is not None:
            values[name] = str(values[name])
    if "global_concurrency_limit_id" in given:
        limit_id = body.global_concurrency_limit_id
        values["concurrency_limit_id"] = None if limit_id is None else str(limit_id)
    if "concurrency_options" in given:
        options = body.concurrency_options
        values["concurrency_options"] = None if options is None else options.model_dump(mode="json")
    if "job_variables" in given and body.job_variables is not None:
        values["infra_overrides"] = body.job_variables
    return values


def queue_of(kernel: Kernel, pool: str | None, queue: str | None, now: datetime) -> Unit[dict[str, Any]]:
    """The column of the work queue that a body names, if it names any; a queue that is not there is made."""
    if pool and queue:
        return {"work_queue_id": (yield from get_or_create_queue(kernel, pool, queue, now))}
    if pool:
        return {"work_queue_id": (yield from default_queue_id(pool))}
    if queue:
        return {"work_queue_id": (yield from ensure_queue(kernel, queue, now))}
    return {}


def _check(body: DeploymentCreate) -> Unit[None]:
    """What a deployment refers to must be there, and its job variables must suit its work pool."""
    if body.work_pool_name and body.work_pool_name != DEFAULT_AGENT_POOL:
        template = yield from pool_template(body.work_pool_name)
        if body.job_variables:
            try:
                yield from check_job_variables(template, body.job_variables, partial=True)
            except ParameterError as error:
                raise errors.Unprocessable(f"Error creating deployment: {error}") from None
            except CircularReference:
                raise errors.Unprocessable(
                    "Invalid schema: Unable to validate schema with circular references."
                ) from None
    yield from need_limit(body.global_concurrency_limit_id)


def _check_blocks(values: dict[str, Any]) -> Unit[None]:
    for kind in ("infrastructure", "storage"):
        id = values.get(f"{kind}_document_id")
        if id is not None and not (yield _BLOCK(id=id)):
            raise errors.Conflict(_BLOCK_ERROR.format(kind=kind, id=id))


def create(kernel: Kernel, body: DeploymentCreate, now: datetime) -> Unit[tuple[Any, bool]]:
    """Make or replace a deployment: its complete row for the wire, and whether it is new. Raises HttpErrors."""
    yield from _check(body)
    queue = yield from queue_of(kernel, body.work_pool_name, body.work_queue_name, now)
    values = {**columns(body), **queue}
    yield from _check_blocks(values)
    flow_id = str(body.flow_id)
    rows = yield _BEFORE(flow_id=flow_id, name=body.name)
    flow_labels, known = rows[0] if rows else (None, None)
    before = (yield from facts_of(known)) if known is not None else None
    values["labels"] = {**(flow_labels or {}), "prefect.flow.id": flow_id, **(body.labels or {})}
    values["updated"] = now
    row = {**_NEW, **values, "id": uuid4(), "created": now, "flow_id": flow_id, "name": body.name}
    id = (yield _upsert(tuple(sorted(values))).bind(row))[0][0]
    new = id == row["id"]
    yield from replace_schedules(id, schedule_rows.new_rows(id, body.schedules, now, bounded=False), now, new=new)
    if "concurrency_limit" in body.model_fields_set:
        yield from set_limit(id, body.concurrency_limit, now)
    after = yield from facts_of(id)
    if after is not None:
        told = event_calls(kernel, "created", after, now) if new else []
        if before is not None and not new:
            told = updated_calls(kernel, before, after, now)
        for call in told:
            yield call
    return (yield from by_id(kernel, id)), new


def replace_schedules(
    deployment_id: str, rows: list[dict[str, Any]], now: datetime, *, new: bool = False
) -> Unit[None]:
    """Give a deployment these schedules in place of its old ones; runs that those have made are deleted."""
    calls: list[Call] = []
    if not new:
        calls += [drop_scheduled(deployment_id, future_after=now), schedule_rows.delete_all(deployment_id)]
    if rows:
        calls.append(schedule_rows.insert(rows))
    for call in calls:
        yield call
