"""Routes of work queues, in the reference's order: a wrong method is answered with the first one of its path."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from pydantic import Field

from prefect_kernel import errors, web
from prefect_kernel.sql import Unit

from ..common.fields import DateTime, Lenient
from ..common.paging import Listed, PageLimit, checked_limit, filtered_by
from ..work_pools import queries, queues, readiness, slot_status
from ..work_pools.filters import WORK_QUEUE_FILTER
from ..work_pools.reads import take
from ..work_pools.schemas import WorkQueueCreate, WorkQueueUpdate
from . import reads, runs
from .group import group

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

WorkQueueList = filtered_by("WorkQueueList", Listed, "work_queues", WORK_QUEUE_FILTER)


class QueueRuns(Lenient):
    """Body parameters of an agent's poll."""

    limit: PageLimit = None
    scheduled_before: DateTime | None = None


class QueueStatus(Lenient):
    """Body parameters of the status of a queue's slots."""

    limit: PageLimit = None
    page: Annotated[int, Field(ge=1)] = 1


def create(kernel: Kernel, body: WorkQueueCreate, now: datetime) -> Unit[bytes | None]:
    """Make a queue in the agents' pool, and that if need be; the queue as JSON. Raises UniqueViolation."""
    pool, new = yield from queries.agent_pool(kernel, now)
    if new and body.name == "default":
        id = pool["default_queue_id"]
    else:
        id = (yield from queues.insert(kernel, pool, body.fields(), now))["id"]
    return (yield from reads.one(kernel, id))


@group.post("/", permission="edit", body=WorkQueueCreate, status=201, response="WorkQueueResponse")
async def create_work_queue(request: web.Request, body: WorkQueueCreate) -> web.Reply:
    """Make a queue in the pool of agents."""
    kernel = request.kernel
    try:
        made = await kernel.storage.write(create, kernel, body, kernel.clock.now())
    except (errors.UniqueViolation, errors.IntegrityViolation):
        raise errors.Conflict("A work queue with this name already exists.") from None
    kernel.events.committed()
    return web.raw(made or b"", 201)


def _missing(id: str) -> errors.NotFound:
    return errors.NotFound(f"Work Queue {id} not found")


def update(kernel: Kernel, id: str, changes: dict[str, Any], now: datetime) -> Unit[None]:
    """Change a queue; other queues keep their priorities. Raises NotFound."""
    found = yield from queues.by_id(id)
    if found is None:
        raise _missing(id)
    yield from queues.update(kernel, *found, changes, now, shift=False)


@group.patch("/{id:uuid}", permission="edit", body=WorkQueueUpdate, status=204)
async def update_work_queue(request: web.Request, body: WorkQueueUpdate) -> web.Reply:
    """Change the members that are given."""
    kernel = request.kernel
    await kernel.storage.write(update, kernel, request.path["id"], body.changes(), kernel.clock.now())
    kernel.events.committed()
    return web.no_content()


def _found(found: bytes | None) -> web.Reply:
    if found is None:
        raise errors.NotFound("work queue not found")
    return web.raw(found)


def _by_name(kernel: Kernel, name: str) -> Unit[bytes | None]:
    id = yield from queries.named_queue_id(name)
    return None if id is None else (yield from reads.one(kernel, id))


@group.get("/name/{name}", permission="read", response="WorkQueueResponse")
async def read_work_queue_by_name(request: web.Request) -> web.Reply:
    """The queue of that name in the pool of agents."""
    kernel = request.kernel
    return _found(await kernel.storage.read(_by_name, kernel, request.path["name"]))


@group.get("/{id:uuid}", permission="read", response="WorkQueueResponse")
async def read_work_queue(request: web.Request) -> web.Reply:
    """The queue with that id."""
    kernel = request.kernel
    return _found(await kernel.storage.read(reads.one, kernel, request.path["id"]))


def _is_true(request: web.Request, name: str) -> bool:
    """A header's truth value; raises InvalidRequest for what is none."""
    text = request.header(name)
    if text is None:
        return False
    from pydantic import TypeAdapter, ValidationError

    try:
        return bool(TypeAdapter(bool).validate_python(text))
    except ValidationError as error:
        details: list[Any] = list(error.errors(include_url=False))
        for detail in details:
            detail["loc"] = ["header", name]
        raise errors.InvalidRequest(details, orjson.loads(request.content or b"null")) from None


@group.post("/{id:uuid}/get_runs", permission="run", body=QueueRuns, embed=True, response="FlowRunResponse[]")
async def read_work_queue_runs(request: web.Request, body: QueueRuns) -> web.Reply:
    """The runs that an agent may start now; asking counts as a poll, unless the UI does it."""
    kernel, id = request.kernel, request.path["id"]
    limit = checked_limit(request, body.limit)
    from_ui = _is_true(request, "x-prefect-ui")
    now = kernel.clock.now()
    found = await kernel.storage.read(runs.find, kernel, id, limit, body.scheduled_before, now)
    if not from_ui and await kernel.storage.read(readiness.queue_due, kernel, id, now):
        await readiness.mark_polled(kernel, now, [id])
    return web.raw(found)


@group.post("/filter", body=WorkQueueList, embed=True, permission="read", response="WorkQueueResponse[]")
async def read_work_queues(request: web.Request, body: Any) -> web.Reply:
    """Queues by name."""
    kernel = request.kernel
    params: dict[str, Any] = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = reads.page(take(WORK_QUEUE_FILTER, body.work_queues, params))
    return web.raw(await kernel.storage.read(reads.many, kernel, statement, params))


def delete(kernel: Kernel, id: str, now: datetime) -> Unit[None]:
    """Delete a queue. Raises NotFound and IntegrityViolation."""
    found = yield from queues.by_id(id)
    if found is None:
        raise errors.NotFound("work queue not found")
    yield from queues.delete(kernel, *found, now, shift=False)


@group.delete("/{id:uuid}", permission="edit", status=204)
async def delete_work_queue(request: web.Request) -> web.Reply:
    """Delete a queue that is not its pool's default queue."""
    kernel = request.kernel
    await kernel.storage.write(delete, kernel, request.path["id"], kernel.clock.now())
    kernel.events.committed()
    return web.no_content()


@group.post(
    "/{id:uuid}/concurrency_status",
    body=QueueStatus,
    embed=True,
    permission="read",
    response="WorkQueueConcurrencyStatus",
)
async def read_work_queue_concurrency_status(request: web.Request, body: QueueStatus) -> web.Reply:
    """Which runs hold the slots of a queue."""
    kernel = request.kernel
    limit = checked_limit(request, body.limit)
    found = await kernel.storage.read(slot_status.of_queue, request.path["id"], body.page, limit, kernel.clock.now())
    return web.json(found)


@group.get("/{id:uuid}/status", permission="read", response="WorkQueueStatusDetail")
async def read_work_queue_status(request: web.Request) -> web.Reply:
    """Whether a queue is polled, and its runs are in time."""
    kernel = request.kernel
    return web.json(await kernel.storage.read(runs.status, request.path["id"], kernel.clock.now()))
