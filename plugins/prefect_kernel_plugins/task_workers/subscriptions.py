"""The socket over which task workers get background task runs, one at a time, each acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from prefect_kernel import web
from prefect_kernel.stash import StashKey

from ..task_runs.queries import by_id
from ..task_runs.queues import QUEUES
from ..task_runs.wire import TASK_RUN_WIRE
from .group import sockets

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.task_workers")

IDLE_SECONDS = 1.0
"""How often an idle connection is looked at for having been closed."""


@dataclass
class Worker:
    """A connected task worker."""

    identifier: str
    task_keys: list[str]
    timestamp: datetime


class Workers:
    """The task workers connected to this process."""

    def __init__(self) -> None:
        self.connected: dict[object, Worker] = {}


WORKERS = StashKey[Workers]("the connected task workers")


@asynccontextmanager
async def task_workers(kernel: Kernel) -> AsyncIterator[None]:
    """Lifespan: `kernel.stash[WORKERS]` exists inside."""
    kernel.stash[WORKERS] = Workers()
    yield


async def _frame(socket: web.WebSocket) -> dict[str, Any]:
    try:
        frame = orjson.loads(await socket.receive())
    except orjson.JSONDecodeError:
        return {}
    return frame if isinstance(frame, dict) else {}


@sockets.websocket("/scheduled")
async def scheduled_task_subscription(socket: web.WebSocket) -> None:
    """Task runs of the subscribed keys; each is sent again to somebody when it is not acknowledged."""
    if not await socket.handshake():
        return
    kernel = socket.kernel
    subscription = await _frame(socket)
    if subscription.get("type") != "subscribe":
        await socket.close(4001, "Protocol violation: expected 'subscribe' message")
        return
    keys, client = subscription.get("keys") or [], subscription.get("client_id")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        await socket.close(4001, "Protocol violation: expected 'keys' in subscribe message")
        return
    if not client:
        await socket.close(4001, "Protocol violation: expected 'client_id' in subscribe message")
        return
    log.info("task worker %s waits for %s", client, keys)
    me = object()
    kernel.stash[WORKERS].connected[me] = Worker(str(client), keys, kernel.clock.now())
    try:
        await _serve(kernel, socket, keys, me)
    finally:
        del kernel.stash[WORKERS].connected[me]


async def _serve(kernel: Kernel, socket: web.WebSocket, keys: list[str], me: object) -> None:
    answer = asyncio.ensure_future(_frame(socket))  # also notices that the worker has gone
    try:
        while True:
            await kernel.stash[QUEUES].restore(keys)
            waiting = asyncio.ensure_future(kernel.stash[QUEUES].next(keys, IDLE_SECONDS))
            await asyncio.wait({waiting, answer}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done() and not waiting.done():
                waiting.cancel()
                if await _is_quit(socket, answer):
                    return
                answer = asyncio.ensure_future(_frame(socket))
                continue
            found = await waiting
            kernel.stash[WORKERS].connected[me].timestamp = kernel.clock.now()
            if found is None:
                continue
            key, run_id = found
            row = await kernel.storage.read(by_id, run_id)
            if row is None:
                continue  # deleted while it waited
            run = TASK_RUN_WIRE.object(kernel.storage.dialect, row)
            if run["state_type"] != "SCHEDULED":
                continue  # cancelled, or taken through another way, while it waited
            acknowledged = False
            try:
                await socket.send(web.dumps(run))
                frame = await answer
                acknowledged = frame.get("type") == "ack"
                if frame.get("type") == "quit":
                    await socket.close()
                    return
                if not acknowledged:
                    await socket.close(4001, "Protocol violation: expected 'ack' message")
                    return
            finally:
                if not acknowledged:
                    kernel.stash[QUEUES].put(key, run_id, first=True)
            answer = asyncio.ensure_future(_frame(socket))
    finally:
        answer.cancel()


async def _is_quit(socket: web.WebSocket, answer: asyncio.Future[dict[str, Any]]) -> bool:
    """Handle a frame that came while nothing was handed out; raises Disconnected when the worker has gone."""
    frame = answer.result()
    if frame.get("type") == "quit":
        await socket.close()
        return True
    return False


__all__ = ["Worker", "Workers", "scheduled_task_subscription", "task_workers"]
