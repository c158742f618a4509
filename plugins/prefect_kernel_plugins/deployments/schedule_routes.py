"""Routes of the schedules of a deployment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect_kernel import errors, web
from prefect_kernel.sql import Unit
from prefect_kernel.sql.types import POSTGRESQL

from ..common.raw_rows import raw_cells
from . import schedule_rows
from .group import group
from .queries import drop_scheduled, exists
from .schemas import DeploymentScheduleCreate, DeploymentScheduleUpdate
from .wire import SCHEDULE_COLUMNS, SCHEDULE_WIRE

web.describe("DeploymentSchedule", SCHEDULE_WIRE)

NO_DEPLOYMENT = "Deployment not found."
NO_SCHEDULE = "Schedule not found."
_UNIQUE = "Schedule slugs must be unique within a deployment."


def _read(id: str) -> Unit[list[Any] | None]:
    if not (yield from exists(id)):
        return None
    return (yield from schedule_rows.of_deployment(id))


def _create(id: str, schedules: list[DeploymentScheduleCreate], now: datetime) -> Unit[list[dict[str, Any]] | None]:
    if not (yield from exists(id)):
        return None
    rows = schedule_rows.new_rows(id, schedules, now, bounded=True)
    if rows:
        yield schedule_rows.insert(rows)
    return rows


def _update(id: str, schedule_id: str, body: DeploymentScheduleUpdate, now: datetime) -> Unit[str | None]:
    """What is missing, if anything."""
    if not (yield from exists(id)):
        return NO_DEPLOYMENT
    if not (yield schedule_rows.change(id, schedule_id, body, now)):
        return NO_SCHEDULE
    yield drop_scheduled(id, future_after=now)
    return None


def _delete(id: str, schedule_id: str) -> Unit[str | None]:
    """What is missing, if anything."""
    if not (yield from exists(id)):
        return NO_DEPLOYMENT
    if not (yield schedule_rows.delete(id, schedule_id)):
        return NO_SCHEDULE
    yield drop_scheduled(id)
    return None


@group.get("/{id:uuid}/schedules", permission="read", response="DeploymentSchedule[]")
async def read_deployment_schedules(request: web.Request) -> web.Reply:
    """The schedules of a deployment, the last one changed first."""
    kernel = request.kernel
    rows = await kernel.storage.read(_read, request.path["id"])
    if rows is None:
        raise errors.NotFound(NO_DEPLOYMENT)
    return web.raw(SCHEDULE_WIRE.many(kernel.storage.dialect, rows))


@group.post(
    "/{id:uuid}/schedules",
    body=list[DeploymentScheduleCreate],
    status=201,
    response="DeploymentSchedule[]",
    permission="edit",
)
async def create_deployment_schedules(request: web.Request, body: list[DeploymentScheduleCreate]) -> web.Reply:
    """Add schedules to a deployment."""
    kernel = request.kernel
    try:
        rows = await kernel.storage.write(_create, request.path["id"], body, kernel.clock.now())
    except errors.UniqueViolation:
        if kernel.storage.dialect == POSTGRESQL:  # Python Prefect tells it from other conflicts there alone
            raise errors.Conflict(_UNIQUE) from None
        raise
    if rows is None:
        raise errors.NotFound(NO_DEPLOYMENT)
    dialect = kernel.storage.dialect
    cells = [raw_cells(SCHEDULE_COLUMNS, row, dialect) for row in rows]
    return web.raw(SCHEDULE_WIRE.many(dialect, cells, datetime.now(UTC)), 201)


@group.patch("/{id:uuid}/schedules/{schedule_id:uuid}", body=DeploymentScheduleUpdate, status=204, permission="edit")
async def update_deployment_schedule(request: web.Request, body: DeploymentScheduleUpdate) -> web.Reply:
    """Change what is given in a schedule, and set its parameters; runs that it has made are deleted."""
    kernel, path = request.kernel, request.path
    missing = await kernel.storage.write(_update, path["id"], path["schedule_id"], body, kernel.clock.now())
    if missing:
        raise errors.NotFound(missing)
    return web.no_content()


@group.delete("/{id:uuid}/schedules/{schedule_id:uuid}", status=204, permission="edit")
async def delete_deployment_schedule(request: web.Request) -> web.Reply:
    """Delete a schedule; all runs that schedules of the deployment have made and that have not begun go with it."""
    kernel, path = request.kernel, request.path
    missing = await kernel.storage.write(_delete, path["id"], path["schedule_id"])
    if missing:
        raise errors.NotFound(missing)
    return web.no_content()
