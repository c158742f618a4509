"""Where events from clients go: written in batches, each batch one transaction, bounded, nothing dropped.

A batch holds the events and the task runs that they tell about. A caller who waits for its ticket knows that its events
are committed; who puts events into a full sink waits until there is room, which slows its socket down.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prefect_kernel import errors
from prefect_kernel.sql import Unit
from prefect_kernel.stash import StashKey

from ..task_runs.recorder import record, records
from .received import Received
from .storing import store
from .stream import Publisher

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.events")

RETRY_SECONDS = 0.5
"""Pause after a failed write; what waits stays in the sink meanwhile."""

CLOSE_SECONDS = 20.0
"""How long the sink may take to write what is left when the server stops."""

Refused = list[tuple[Received, str]]
"""Events that the database does not take, and why."""


def check_taken(refused: Refused) -> None:
    """Raises Unprocessable when there are events that the database does not take; the others are stored."""
    if refused:
        raise errors.Unprocessable(
            " ".join(f"Event {event.id} cannot be stored: {reason}." for event, reason in refused[:10])
        )


_Handed = tuple[list[Received], asyncio.Future[Refused]]


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
        self._publisher = Publisher(kernel)
        self.pending = 0
        """Events that are not committed."""
        self._waiting: list[_Handed] = []
        self._filled = asyncio.Event()
        self._hurried = asyncio.Event()
        self._room = asyncio.Condition()
        self._closing = False

    async def put(self, events: list[Received]) -> asyncio.Future[Refused]:
        """Hand over events, waiting while the sink is full.

        The future is done once they are committed; it tells of those that the database does not take.
        """
        future: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()
        if not events or not (self.keep or self.record_runs):
            future.set_result([])
            return future
        if self.pending >= self.limit:
            async with self._room:
                await self._room.wait_for(lambda: self.pending < self.limit)
        self.pending += len(events)
        self._waiting.append((events, future))
        self._filled.set()
        return future

    def hurry(self) -> None:
        """Somebody waits for what was handed over: do not gather more."""
        if self._waiting:
            self._hurried.set()

    async def run(self) -> None:
        """Write what comes in until `close`, then what is left."""
        while True:
            await self._filled.wait()
            if self.pending < self.batch_size and not self._closing:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._hurried.wait(), self.batch_seconds)
            taken, self._waiting = self._waiting, []
            self._filled.clear()
            self._hurried.clear()
            for part in self._parts(taken):
                await self._write(part)
            if self._closing and not self._waiting:
                return

    def _parts(self, taken: list[_Handed]) -> Iterator[list[_Handed]]:
        """Cut what was taken into transactions of about the batch size."""
        part: list[_Handed] = []
        size = 0
        for handed in taken:
            part.append(handed)
            size += len(handed[0])
            if size >= self.batch_size:
                yield part
                part, size = [], 0
        if part:
            yield part

    async def _write(self, part: list[_Handed]) -> None:
        batch = [event for events, _ in part for event in events]
        refused = await self._commit(batch, self.record_runs)
        lost = {id(event) for event, _ in refused}
        for events, future in part:
            if not future.done():
                its = {id(event) for event in events} if lost else set()
                future.set_result([one for one in refused if id(one[0]) in its])
        try:
            await self._publisher.publish([event for event in batch if id(event) not in lost])
        except Exception:
            # They are committed; were this task to end, no event would ever be stored again.
            log.exception("%d events are stored, and could not be announced", len(batch))
        self.pending -= len(batch)
        async with self._room:
            self._room.notify_all()

    async def _commit(self, batch: list[Received], record_runs: bool) -> Refused:
        """Write a batch, however long the database is away; gives the events that it does not take.

        One event that cannot be stored does not hold up others.
        """
        kernel = self.kernel
        unrecorded: Exception | None = None
        while True:
            try:
                await kernel.storage.write(write_batch, kernel, batch, self.keep, record_runs)
            except (errors.StorageUnavailable, errors.Raced) as error:
                log.warning("events wait for the database: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other events must be written
                if len(batch) > 1:
                    middle = len(batch) // 2
                    refused = await self._commit(batch[:middle], record_runs)
                    return refused + await self._commit(batch[middle:], record_runs)
                if record_runs and self.keep:
                    unrecorded, record_runs = error, False
                    continue
                log.error("event %s (%.200s) cannot be stored: %s", batch[0].id, batch[0].event, error)
                return [(batch[0], errors.told(error))]
            else:
                if unrecorded is not None:
                    log.warning("event %s is stored, but its task run is not recorded: %s", batch[0].id, unrecorded)
                return []

    def close(self) -> None:
        """Let `run` write what is left and end."""
        self._closing = True
        self._filled.set()
        self._hurried.set()


SINK = StashKey[EventSink]("the event sink")


@asynccontextmanager
async def event_sink(kernel: Kernel) -> AsyncIterator[None]:
    """Lifespan of the sink: `kernel.stash[SINK]` exists inside."""
    sink = EventSink(kernel)
    kernel.stash[SINK] = sink
    task = asyncio.create_task(sink.run(), name="event sink")
    try:
        yield
    finally:
        sink.close()
        try:
            await asyncio.wait_for(asyncio.shield(task), CLOSE_SECONDS)
        except TimeoutError:
            log.error("%d events could not be written before the server stopped", sink.pending)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
