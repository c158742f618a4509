"""Routes of work pools.

They are declared in the reference's order: a wrong method is answered with the first one of its path.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect_kernel import errors, web
from prefect_kernel.sql import Unit
from prefect_kernel.wire import Wire

from ..common.client import client_version
from ..common.paging import Filtered, checked_limit, filtered_by, listed_after, read_list, read_number
from . import pools, reads, scheduled, slot_status
from .filters import WORK_POOL_FILTER
from .group import group
from .reads import no_pool, take
from .schemas import PoolStatus, ScheduledRuns, WorkPoolCreate, WorkPoolUpdate
from .snapshots import SHOWN, told
from .templates import check_template
from .wire import OLD_POOL_WIRE, POOL_WIRE

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

web.describe("WorkPoolResponse", POOL_WIRE)

RESERVED = "prefect"
"""How names of pools begin that clients may neither make nor delete."""
_OLD = (3, 3, 7)
WorkPoolList = listed_after("WorkPoolList", {"work_pools": WORK_POOL_FILTER})
WorkPoolCount = filtered_by("WorkPoolCount", Filtered, "work_pools", WORK_POOL_FILTER)


def reserved(name: str) -> bool:
    """Whether a name is kept for the server's own pools."""
    return name.lower().startswith(RESERVED)


def _wire(request: web.Request) -> Wire:
    """How the client wants pools."""
    version = client_version(request)
    if version is not None:
        from packaging.version import Version

        if Version(version) <= Version("3.3.7"):
            return OLD_POOL_WIRE
    return POOL_WIRE


def create(kernel: Kernel, body: WorkPoolCreate, now: datetime) -> Unit[Any]:
    """Make a pool with its default queue; its raw row. Raises UniqueViolation."""
    yield from check_template(body.base_job_template)
    fields = {**body.__dict__, "storage_configuration": body.storage_configuration.stored()}
    pool = yield from pools.insert(kernel, fields, now)
    yield from pools.announce(kernel, pool, now)
    return (yield from reads.pool_row(pool["name"]))


@group.post("/", permission="edit", body=WorkPoolCreate, status=201, response="WorkPoolResponse")
async def create_work_pool(request: web.Request, body: WorkPoolCreate) -> web.Reply:
    """Make a work pool; its name must be free."""
    if reserved(body.name):
        raise errors.Forbidden("Work pools starting with 'Prefect' are reserved for internal use.")
    kernel = request.kernel
    try:
        row = await kernel.storage.write(create, kernel, body, kernel.clock.now())
    except (errors.UniqueViolation, errors.IntegrityViolation):
        raise errors.Conflict("A work pool with this name already exists.") from None
    kernel.events.committed()
    return web.raw(_wire(request).one(kernel.storage.dialect, row), 201)


@group.get("/{name}", permission="read", response="WorkPoolResponse")
async def read_work_pool(request: web.Request) -> web.Reply:
    """The work pool of that name."""
    kernel = request.kernel
    row = await kernel.storage.read(reads.pool_row, request.path["name"])
    return web.raw(_wire(request).one(kernel.storage.dialect, row))


@group.post("/filter", body=WorkPoolList, embed=True, permission="read", response="WorkPoolResponse[]")
async def read_work_pools(request: web.Request, body: Any) -> web.Reply:
    """Work pools by name."""
    kernel = request.kernel
    params: dict[str, Any] = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = reads.pools_page(take(WORK_POOL_FILTER, body.work_pools, params))
    return web.raw(await kernel.storage.read(read_list, kernel, _wire(request), statement, params))


@group.post("/count", body=WorkPoolCount, embed=True, permission="read", response=int)
async def count_work_pools(request: web.Request, body: Any) -> web.Reply:
    """How many work pools match."""
    params: dict[str, Any] = {}
    statement = reads.pools_count(take(WORK_POOL_FILTER, body.work_pools, params))
    return web.raw(await request.kernel.storage.read(read_number, statement, params))


def update(kernel: Kernel, name: str, changes: dict[str, Any], now: datetime) -> Unit[str]:
    """Change a pool; its id. Raises NotFound."""
    pool = yield from pools.by_name(name)
    if pool is None:
        raise no_pool(name)
    yield from pools.update(kernel, pool, changes, now)
    id: str = pool["id"]
    return id


@group.patch("/{name}", permission="edit", body=WorkPoolUpdate, status=204)
async def update_work_pool(request: web.Request, body: WorkPoolUpdate) -> web.Reply:
    """Change the members that are given; in reserved pools that may be the limit, and whether it is paused."""
    name, kernel = request.path["name"], request.kernel
    changes = body.changes()
    if reserved(name) and set(changes).difference({"is_paused", "concurrency_limit"}):
        raise errors.Forbidden(
            "Work pools starting with 'Prefect' are reserved for internal use "
            "and can only be updated to set concurrency limits or pause."
        )
    id = await kernel.storage.write(update, kernel, name, changes, kernel.clock.now())
    kernel.events.committed()
    if SHOWN.intersection(changes):
        await told(kernel, id, "work_pool_updated")
    return web.no_content()


def delete(kernel: Kernel, name: str, now: datetime) -> Unit[str]:
    """Delete a pool; its id. Raises NotFound."""
    pool = yield from pools.by_name(name)
    if pool is None:
        raise no_pool(name)
    yield from pools.delete(kernel, pool, now)
    id: str = pool["id"]
    return id


@group.delete("/{name}", permission="edit", status=204)
async def delete_work_pool(request: web.Request) -> web.Reply:
    """Delete a work pool with its queues and workers."""
    name, kernel = request.path["name"], request.kernel
    if reserved(name):
        raise errors.Forbidden(
            "Work pools starting with 'Prefect' are reserved for internal use and can not be deleted."
        )
    id = await kernel.storage.write(delete, kernel, name, kernel.clock.now())
    kernel.events.committed()
    await told(kernel, id, "work_pool_deleted", deleted=True)
    return web.no_content()


@group.post(
    "/{name}/concurrency_status",
    body=PoolStatus,
    embed=True,
    permission="read",
    response="WorkPoolConcurrencyStatus",
)
async def read_work_pool_concurrency_status(request: web.Request, body: PoolStatus) -> web.Reply:
    """Which runs hold the slots of a pool, queue by queue."""
    kernel = request.kernel
    limit = checked_limit(request, body.limit)
    return web.json(
        await kernel.storage.read(
            slot_status.of_pool, request.path["name"], body.page, limit, body.flow_run_limit, kernel.clock.now()
        )
    )


@group.post(
    "/{name}/get_scheduled_flow_runs",
    permission="run",
    body=ScheduledRuns,
    embed=True,
    response="WorkerFlowRunResponse[]",
)
async def get_scheduled_flow_runs(request: web.Request, body: ScheduledRuns) -> web.Reply:
    """The runs that a worker may start now, and a sign of life of the queues that it asked for."""
    kernel = request.kernel
    limit = checked_limit(request, body.limit)
    return web.raw(await scheduled.poll(kernel, request.path["name"], body, limit))
