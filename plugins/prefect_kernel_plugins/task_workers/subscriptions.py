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

from prefect_kernel import errors, web
from prefect_kernel.stash import StashKey

from ..task_runs.claims import EXPIRY
from ..task_runs.queues import QUEUES, TaskQueues
from .group import sockets

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.task_workers")

IDLE_SECONDS = 1.0
"""How often the list of workers shows that an idle one is still there."""

RENEW_SECONDS = EXPIRY.total_seconds() / 3
"""How often a claim is renewed while its worker takes its time to acknowledge it."""

_NO_ACK = (4001, "Protocol violation: expected 'ack' message")
_LOST = (1011, "the task run waits no longer, or was given to another worker")


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


@sockets.websocket("/scheduled", permission="run")
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
    connected, me = kernel.stash[WORKERS].connected, object()
    worker = connected[me] = Worker(str(client), keys, kernel.clock.now())
    try:
        async with kernel.stash[QUEUES].serving(keys):
            await _serve(kernel, socket, keys, worker)
    finally:
        del connected[me]


async def _kept(queues: TaskQueues, run_id: str, token: str, answer: asyncio.Future[Any]) -> bool:
    """Keep a claim until the worker has answered; False when it was lost before that."""
    while not answer.done():
        await asyncio.wait({answer}, timeout=RENEW_SECONDS)
        try:
            if not answer.done() and not await queues.renew(run_id, token):
                return answer.done()
        except errors.StorageUnavailable as error:
            log.warning("the claim on task run %s could not be renewed: %s", run_id, error)
    return True


async def _serve(kernel: Kernel, socket: web.WebSocket, keys: list[str], worker: Worker) -> None:
    """Hand out runs until the worker quits or breaks the protocol; raises Disconnected when it has gone."""
    queues = kernel.stash[QUEUES]
    answer = asyncio.ensure_future(_frame(socket))  # also notices that the worker has gone
    try:
        while True:
            await queues.fill(keys)
            waiting = asyncio.ensure_future(queues.next(keys, IDLE_SECONDS))
            await asyncio.wait({waiting, answer}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                answer.result()
                # As Python Prefect: what a worker says before it has been given anything is not listened to.
                answer = asyncio.ensure_future(_frame(socket))
                continue
            worker.timestamp = kernel.clock.now()
            found = waiting.result()
            if found is None:
                continue
            claimed = await queues.claim(found[1])
            if claimed is None:
                continue
            token, run = claimed
            reply = None
            try:
                await socket.send(run)
                if not await _kept(queues, found[1], token, answer):
                    await socket.close(*_LOST)
                    return
                reply = answer.result().get("type")
            finally:
                if reply != "ack":
                    await queues.release(*found, token)
            if reply != "ack":
                await socket.close(*(() if reply == "quit" else _NO_ACK))
                return
            if not await queues.acknowledge(found[1], token):
                log.warning(
                    "task worker %s took task run %s so late that it was offered again", worker.identifier, found[1]
                )
            answer = asyncio.ensure_future(_frame(socket))
    finally:
        if not answer.cancel() and not answer.cancelled():
            answer.exception()  # seen: what it says ends this function anyhow


__all__ = ["Worker", "Workers", "scheduled_task_subscription", "task_workers"]
