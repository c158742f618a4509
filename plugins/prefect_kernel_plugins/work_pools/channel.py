"""The worker channel: signs of life one way; how the pool is, and what is to be cleaned up, the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from prefect_kernel import errors, web
from prefect_kernel.ports.broker import Missed
from prefect_kernel.sql import Unit
from prefect_kernel.web.reply import dumps
from prefect_kernel.web.websocket import Disconnected

from . import notices, pools, queues, reads, workers
from .cleanup import CleanupQueue, Message, Outcome, queue_of
from .frames import CLEANUP, FROM_WORKER, REQUIRED, VERSION, Ack, Heartbeat, Hello, Release, Renew, frame
from .snapshots import TOPIC, told
from .templates import check_template
from .wire import POOL_WIRE

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.work_pools")

COALESCE = 0.05
"""Seconds for which further changes of a pool are waited for before it is shown."""

MISSED = "heartbeat_reconciliation"
"""The reason of a snapshot that nobody has asked for: the pool may not be as the worker thinks."""

_CODES = {
    "authorization_failed": 1008,
    "unsupported_version": 1008,
    "protocol_error": 1002,
    "heartbeat_persistence_failed": 1011,
    "transient_server_error": 1011,
}
_SHOWN = (
    "id created updated name description type base_job_template is_paused concurrency_limit status active_slots"
    " storage_configuration default_queue_id"
).split()


class Refused(Exception):
    """The channel ends, for one of the reasons in `_CODES`."""


def _parse(text: str | bytes) -> Any:
    if isinstance(text, bytes):
        raise Refused("transient_server_error")
    try:
        return FROM_WORKER.validate_python(orjson.loads(text))
    except (orjson.JSONDecodeError, ValidationError):
        raise Refused("protocol_error") from None


def _shown(kernel: Kernel, row: Any) -> dict[str, Any]:
    pool = POOL_WIRE.object(kernel.storage.dialect, row)
    return {name: pool[name] for name in _SHOWN}


def greet(kernel: Kernel, pool_name: str, hello: Hello, now: datetime) -> Unit[tuple[dict[str, Any], Any, bool]]:
    """Do what a hello asks for: the pool as workers see it, its queues for the worker, and whether it was completed.

    Raises Refused.
    """
    payload = hello.payload
    pool = yield from pools.by_name(pool_name)
    if pool is None:
        if not payload.create_pool_if_not_found or pool_name.lower().startswith("prefect"):
            raise Refused("authorization_failed")
        yield from check_template(payload.default_base_job_template)
        fields = {
            "name": pool_name,
            "type": payload.worker_type,
            "base_job_template": payload.default_base_job_template,
        }
        pool = yield from pools.insert(kernel, fields, now)
    found = [queue for queue, _ in (yield from queues.of_pool(pool["id"]))]
    if payload.work_queue_names:
        by_name = {queue["name"]: queue for queue in found}
        try:
            found = [by_name[name] for name in dict.fromkeys(payload.work_queue_names)]
        except KeyError:
            raise Refused("authorization_failed") from None
    completed = not pool["base_job_template"] and bool(payload.default_base_job_template)
    if completed:
        yield from check_template(payload.default_base_job_template)
        change = {"base_job_template": payload.default_base_job_template}
        pool = yield from pools.update(kernel, pool, change, now, tell=False)
    yield from workers.beat(kernel, pool_name, payload.worker_name, payload.heartbeat_interval_seconds, now)
    if completed:
        told_change = {"base_job_template": ({}, payload.default_base_job_template)}
        yield from kernel.events.put(notices.pool_updated(pool, told_change, now))
    row = yield from reads.pool_row_by_id(pool["id"])
    return _shown(kernel, row), [{"id": queue["id"], "name": queue["name"]} for queue in found], completed


class Channel:
    """One connected worker."""

    def __init__(
        self, kernel: Kernel, socket: web.WebSocket, hello: Hello, pool: dict[str, Any], found: list[Any]
    ) -> None:
        self.kernel, self.socket, self.hello = kernel, socket, hello
        payload = hello.payload
        self.pool_id, self.pool_name = pool["id"], pool["name"]
        self.updated = datetime.fromisoformat(pool["updated"])
        self.key = (self.pool_id, str(payload.consumer_id), payload.worker_name)
        self.kinds: Collection[str] = tuple(payload.handled_cleanup_kinds)
        self.queue_ids: Collection[str] = tuple(queue["id"] for queue in found)
        self.most = payload.max_cleanup_concurrency if payload.cleans_up else 0
        self.cleanup: CleanupQueue | None = queue_of(kernel) if payload.cleans_up else None
        self._sequence = 1
        self._pending: dict[str, Any] | None = None
        self._changed = asyncio.Event()
        self._sending = asyncio.Lock()

    async def send(self, type_: str, payload: dict[str, Any]) -> None:
        """Send a frame."""
        async with self._sending:
            await self.socket.send(dumps(frame(type_, self.kernel.clock.now(), payload)))

    async def run(self, pool: dict[str, Any], found: list[Any], changes: AsyncIterator[Any]) -> None:
        """Talk until one side ends it. Raises Refused and Disconnected."""
        await self.send("worker.ready.v1", self._ready(pool, found))
        if self.cleanup is not None:
            self.cleanup.dispatcher.join(self)
        tasks = [asyncio.create_task(part) for part in (self._listen(), self._follow(changes), self._show())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            if self.cleanup is not None:
                self.cleanup.dispatcher.leave(self)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _ready(self, pool: dict[str, Any], found: list[Any]) -> dict[str, Any]:
        payload = self.hello.payload
        accepted = [*REQUIRED, *([CLEANUP] if self.cleanup is not None else [])]
        return {
            "consumer_id": str(payload.consumer_id),
            "worker_id": None,
            "selected_channel_version": VERSION,
            "effective_heartbeat_interval_seconds": payload.heartbeat_interval_seconds,
            "accepted_capabilities": accepted,
            "rejected_capabilities": [
                name for name in dict.fromkeys(payload.requested_capabilities) if name not in accepted
            ],
            "effective_max_cleanup_concurrency": self.most,
            "resolved_work_queues": found,
            "initial_snapshot": {"snapshot_sequence": 1, "reason": "initial", "work_pool": pool},
        }

    # ---------------------------------------------------------------- how the pool is
    async def _follow(self, changes: AsyncIterator[Any]) -> None:
        async for change in changes:
            if isinstance(change, Missed):
                if not self._changed.is_set():
                    told = {"work_pool_id": self.pool_id, "reason": MISSED, "work_pool_deleted": False}
                    self._note({**told, "unless": self.updated})
            elif change["work_pool_id"] == self.pool_id:
                self._note(change)

    def _note(self, change: dict[str, Any]) -> None:
        """The newest change alone is of interest."""
        self._pending = change
        self._changed.set()

    async def _show(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(COALESCE)
            self._changed.clear()
            change = self._pending
            assert change is not None
            row = None
            if not change["work_pool_deleted"]:
                row = await self.kernel.storage.read(reads.pool_row_by_id, self.pool_id)
            if row is None:
                raise Refused("authorization_failed")
            pool = _shown(self.kernel, row)
            if datetime.fromisoformat(pool["updated"]) == change.get("unless"):
                continue
            self.updated = datetime.fromisoformat(pool["updated"])
            self._sequence += 1
            await self.send(
                "work_pool.snapshot.v1",
                {"snapshot_sequence": self._sequence, "reason": change["reason"], "work_pool": pool},
            )

    # ---------------------------------------------------------------- what the worker says
    async def _listen(self) -> None:
        while True:
            said = _parse(await self.socket.receive())
            if isinstance(said, Heartbeat):
                await self._beat(said)
            elif isinstance(said, Ack | Release | Renew):
                await self._operate(said)
            else:
                raise Refused("protocol_error")

    async def _beat(self, said: Heartbeat) -> None:
        payload = said.payload
        if (self.pool_id, str(payload.consumer_id), payload.worker_name) != self.key:
            raise Refused("protocol_error")
        try:
            updated = await workers.heartbeat(
                self.kernel, self.pool_name, payload.worker_name, payload.heartbeat_interval_seconds
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to try elsewhere
            log.warning("a worker's sign of life could not be noted: %s", error)
            raise Refused("heartbeat_persistence_failed") from None
        if updated != self.updated:
            self._note({"work_pool_id": self.pool_id, "reason": MISSED, "work_pool_deleted": False})

    async def _operate(self, said: Ack | Release | Renew) -> None:
        operation = said.type.split(".")[1]
        id, token = str(said.payload.message_id), said.payload.reservation_token
        if self.cleanup is None:
            outcome = Outcome("unauthorized", "cleanup_delivery_not_accepted")
        else:
            outcome = getattr(self.cleanup, operation)(self.pool_id, id, token)
            if outcome.expires is not None:
                self.cleanup.dispatcher.keep(self, token, outcome.expires)
        await self.send(
            "cleanup.operation_result.v1",
            {
                "request_frame_id": str(said.id),
                "message_id": id,
                "operation": operation,
                "status": outcome.status,
                "lease_expires_at": outcome.expires,
                "reason": outcome.reason,
                "detail": None,
            },
        )
        if self.cleanup is not None and outcome.expires is None:
            self.cleanup.dispatcher.forget(self, token)

    async def deliver(self, message: Message) -> bool:
        """Send what is to be cleaned up; False when the worker is gone."""
        try:
            await self.send(
                "cleanup.message.v1",
                {
                    "message_id": message.id,
                    "reservation_token": message.token,
                    "lease_expires_at": message.expires,
                    "delivery_count": message.deliveries,
                    "work_queue_id": message.queue_id,
                    "data": message.data,
                    "kind": message.kind,
                    "target": message.target,
                },
            )
        except (Disconnected, ConnectionError):
            return False
        return True


async def _serve(socket: web.WebSocket) -> None:
    hello = _parse(await socket.receive())
    if not isinstance(hello, Hello):
        raise Refused("protocol_error")
    if VERSION not in hello.payload.supported_channel_versions:
        raise Refused("unsupported_version")
    kernel, name = socket.kernel, socket.path["work_pool_name"]
    async with kernel.broker.subscribe(TOPIC, gaps=True) as changes:
        try:
            pool, found, completed = await kernel.storage.write(greet, kernel, name, hello, kernel.clock.now())
        except errors.HttpError:
            raise Refused("protocol_error") from None
        kernel.events.committed()
        if completed:
            await told(kernel, pool["id"], "work_pool_updated")
        await Channel(kernel, socket, hello, pool, found).run(pool, found, changes)


async def serve(socket: web.WebSocket) -> None:
    """Serve a worker until it goes, or breaks the rules."""
    if not await socket.handshake(required=True, reason="authentication_failed"):
        return
    try:
        await _serve(socket)
    except Refused as refused:
        reason = str(refused)
        await socket.close(_CODES[reason], reason)
    except Disconnected:
        raise
    except Exception:
        log.exception("a worker's channel failed")
        await socket.close(1011, "transient_server_error")
