"""Routes of the workers of a work pool, in the reference's order."""

from __future__ import annotations

from typing import Any

from prefect_kernel import errors, web
from prefect_kernel.sql import Unit

from ..common.paging import checked_limit, listed_after
from . import channel, reads, workers
from .filters import WORKER_FILTER
from .group import group
from .reads import take
from .schemas import Heartbeat
from .wire import WORKER_WIRE

web.describe("WorkerResponse", WORKER_WIRE)

WorkerList = listed_after("WorkerList", {"workers": WORKER_FILTER})


@group.websocket("/{work_pool_name}/workers/connect", permission="run")
async def worker_channel_connect(socket: web.WebSocket) -> None:
    """The channel of a worker."""
    await channel.serve(socket)


@group.post("/{work_pool_name}/workers/heartbeat", permission="run", body=Heartbeat, embed=True, status=204)
async def worker_heartbeat(request: web.Request, body: Heartbeat) -> web.Reply:
    """A worker's sign of life; a worker that is not known is made."""
    pool = request.path["work_pool_name"]
    await workers.heartbeat(request.kernel, pool, body.name, body.heartbeat_interval_seconds)
    return web.no_content()


@group.post(
    "/{work_pool_name}/workers/filter", body=WorkerList, embed=True, permission="read", response="WorkerResponse[]"
)
async def read_workers(request: web.Request, body: Any) -> web.Reply:
    """Workers, the last to give a sign of life first."""
    kernel = request.kernel
    params: dict[str, Any] = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = reads.workers_page(take(WORKER_FILTER, body.workers, params))
    name = request.path["work_pool_name"]
    return web.raw(await kernel.storage.read(reads.of_pool, kernel, name, WORKER_WIRE, statement, params))


def delete(pool: str, name: str) -> Unit[None]:
    """Delete a worker. Raises NotFound."""
    id = yield from reads.pool_id(pool)
    if not (yield from workers.delete(id, name)):
        raise errors.NotFound("Worker not found.")


@group.delete("/{work_pool_name}/workers/{name}", permission="edit", status=204)
async def delete_worker(request: web.Request) -> web.Reply:
    """Forget a worker."""
    await request.kernel.storage.write(delete, request.path["work_pool_name"], request.path["name"])
    return web.no_content()
