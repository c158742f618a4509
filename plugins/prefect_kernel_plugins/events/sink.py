"""Where events from clients go: written in batches, each batch one transaction, bounded, nothing dropped.

A batch holds the events and the task runs that they tell about. A caller who waits for its ticket knows that its events
are committed; who puts events into a full sink waits until there is room, which slows its socket down.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prefect_kernel import errors
from prefect_kernel.sql import Unit

from ..task_runs.recorder import record, records
from .received import Received
from .storing import store

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.events")

RETRY_SECONDS = 0.5
"""Pause after a failed write; what waits stays in the sink meanwhile."""


def write_batch(kernel: Kernel, batch: list[Received], keep: bool, record_runs: bool) -> Unit[None]:
    """Store events (`keep`), and record the task runs among them, in one transaction."""
    now = kernel.clock.now()
    if keep:
        yield from store(kernel.storage.dialect, batch, now)
    if record_runs:
        found = records(batch)
        if found:
            yield from record(found, now)


class EventSink:
    """Collects events and writes them."""

    def __init__(self, kernel: Kernel) -> None:
        settings = kernel.settings
        self.kernel = kernel
        self.keep = settings.server.services.event_persister.enabled
        self.record_runs = settings.server.services.task_run_recorder.enabled
        self.limit = settings.kernel.event_queue_size
        self.batch_size = settings.kernel.event_batch_size
        self.batch_seconds = settings.kernel.event_batch_seconds
        self._waiting: list[tuple[list[Received], asyncio.Future[None]]] = []
        self._count = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Condition()
        self._closing = False

    async def put(self, events: list[Received]) -> asyncio.Future[None]:
        """Hand over events, waiting while the sink is full; the future is done once they are committed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not events or not (self.keep or self.record_runs):
            future.set_result(None)
            return future
        if self._count >= self.limit:
            async with self._room:
                await self._room.wait_for(lambda: self._count < self.limit)
        self._count += len(events)
        self._waiting.append((events, future))
        self._filled.set()
        return future

    async def run(self) -> None:
        """Write what comes in until `close`, then what is left."""
        while True:
            await self._filled.wait()
            if self._count < self.batch_size and not self._closing:
                await asyncio.sleep(self.batch_seconds)  # gather what comes close together
            taken, self._waiting = self._waiting, []
            self._filled.clear()
            for start, end in self._slices(taken):
                await self._write(taken[start:end])
            if self._closing and not self._waiting:
                return

    def _slices(self, taken: list[tuple[list[Received], asyncio.Future[None]]]) -> list[tuple[int, int]]:
        """Cut what was taken into transactions of about the batch size."""
        slices, start, size = [], 0, 0
        for i, (events, _) in enumerate(taken):
            size += len(events)
            if size >= self.batch_size:
                slices.append((start, i + 1))
                start, size = i + 1, 0
        if start < len(taken):
            slices.append((start, len(taken)))
        return slices

    async def _write(self, part: list[tuple[list[Received], asyncio.Future[None]]]) -> None:
        batch = [event for events, _ in part for event in events]
        while True:
            try:
                await self._commit(batch)
                break
            except errors.StorageUnavailable as error:
                log.warning("events wait for the database: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
        for _, future in part:
            if not future.done():
                future.set_result(None)
        self._count -= len(batch)
        async with self._room:
            self._room.notify_all()

    async def _commit(self, batch: list[Received]) -> None:
        try:
            await self.kernel.storage.write(write_batch, self.kernel, batch, self.keep, self.record_runs)
        except errors.StorageUnavailable:
            raise
        except errors.StorageError as error:
            if len(batch) == 1:
                log.error("event %s (%s) cannot be stored and is dropped: %s", batch[0].id, batch[0].event, error)
                return
            for event in batch:  # find the one that spoils the batch; the others must not suffer from it
                await self._commit([event])

    async def close(self) -> None:
        """Let `run` write what is left and end."""
        self._closing = True
        self._filled.set()


@asynccontextmanager
async def event_sink(kernel: Kernel) -> AsyncIterator[None]:
    """Lifespan of the sink: `kernel.event_sink` exists inside."""
    sink = EventSink(kernel)
    kernel.event_sink = sink
    task = asyncio.create_task(sink.run(), name="event sink")
    try:
        yield
    finally:
        await sink.close()
        try:
            await asyncio.wait_for(asyncio.shield(task), 20)
        except TimeoutError:
            log.error("%d events could not be written before the server stopped", sink._count)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
