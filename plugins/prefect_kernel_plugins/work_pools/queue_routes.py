"""Routes of the queues of a work pool, in the reference's order."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect_kernel import errors, web
from prefect_kernel.sql import Unit

from ..common.paging import checked_limit, listed_after
from . import queues, reads
from .filters import WORK_QUEUE_FILTER
from .group import group
from .reads import no_pool, no_queue, take
from .schemas import WorkQueueCreate, WorkQueueUpdate
from .wire import QUEUE_WIRE

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

web.describe("WorkQueueResponse", QUEUE_WIRE)

WorkPoolQueueList = listed_after("WorkPoolQueueList", {"work_queues": WORK_QUEUE_FILTER})


def create(kernel: Kernel, pool: str, body: WorkQueueCreate, now: datetime) -> Unit[Any]:
    """Make a queue; its raw row. Raises NotFound and UniqueViolation."""
    from .pools import by_name

    found = yield from by_name(pool)
    if found is None:
        raise no_pool(pool)
    row = yield from queues.insert(kernel, found, body.fields(), now)
    return (yield from reads.queue_row_by_id(row["id"]))


@group.post(
    "/{work_pool_name}/queues", permission="edit", body=WorkQueueCreate, status=201, response="WorkQueueResponse"
)
async def create_work_pool_queue(request: web.Request, body: WorkQueueCreate) -> web.Reply:
    """Make a queue; its name must be free in its pool."""
    kernel = request.kernel
    try:
        row = await kernel.storage.write(create, kernel, request.path["work_pool_name"], body, kernel.clock.now())
    except (errors.UniqueViolation, errors.IntegrityViolation):
        # As Python Prefect says it.
        raise errors.Conflict("A work queue with this name already exists in work pool {work_pool_name!r}.") from None
    kernel.events.committed()
    return web.raw(QUEUE_WIRE.one(kernel.storage.dialect, row), 201)


@group.get("/{work_pool_name}/queues/{name}", permission="read", response="WorkQueueResponse")
async def read_work_pool_queue(request: web.Request) -> web.Reply:
    """The queue of that name."""
    kernel = request.kernel
    row = await kernel.storage.read(reads.queue_row, request.path["work_pool_name"], request.path["name"])
    return web.raw(QUEUE_WIRE.one(kernel.storage.dialect, row))


@group.post(
    "/{work_pool_name}/queues/filter",
    body=WorkPoolQueueList,
    embed=True,
    permission="read",
    response="WorkQueueResponse[]",
)
async def read_work_pool_queues(request: web.Request, body: Any) -> web.Reply:
    """Queues by priority."""
    kernel = request.kernel
    params: dict[str, Any] = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = reads.queues_page(take(WORK_QUEUE_FILTER, body.work_queues, params))
    name = request.path["work_pool_name"]
    return web.raw(await kernel.storage.read(reads.of_pool, kernel, name, QUEUE_WIRE, statement, params))


def _find(pool: str, queue: str) -> Unit[tuple[dict[str, Any], dict[str, Any]]]:
    found = yield from queues.by_name(pool, queue)
    if found is None:
        yield from reads.pool_id(pool)
        raise no_queue(pool, queue)
    return found


def update(kernel: Kernel, pool: str, queue: str, changes: dict[str, Any], now: datetime) -> Unit[None]:
    """Change a queue. Raises NotFound."""
    found, its_pool = yield from _find(pool, queue)
    yield from queues.update(kernel, found, its_pool, changes, now, shift=True)


@group.patch("/{work_pool_name}/queues/{name}", permission="edit", body=WorkQueueUpdate, status=204)
async def update_work_pool_queue(request: web.Request, body: WorkQueueUpdate) -> web.Reply:
    """Change the members that are given; queues whose priority is taken move behind."""
    kernel = request.kernel
    names = request.path["work_pool_name"], request.path["name"]
    await kernel.storage.write(update, kernel, *names, body.changes(), kernel.clock.now())
    kernel.events.committed()
    return web.no_content()


def delete(kernel: Kernel, pool: str, queue: str, now: datetime) -> Unit[None]:
    """Delete a queue. Raises NotFound and IntegrityViolation."""
    found, its_pool = yield from _find(pool, queue)
    yield from queues.delete(kernel, found, its_pool, now, shift=True)


@group.delete("/{work_pool_name}/queues/{name}", permission="edit", status=204)
async def delete_work_pool_queue(request: web.Request) -> web.Reply:
    """Delete a queue that is not its pool's default queue."""
    kernel = request.kernel
    names = request.path["work_pool_name"], request.path["name"]
    try:
        await kernel.storage.write(delete, kernel, *names, kernel.clock.now())
    except errors.IntegrityViolation:
        raise errors.Conflict("Can't delete a pool's default queue.") from None
    kernel.events.committed()
    return web.no_content()
