"""The event persister: moves events that the server emitted from the outbox to the event tables.

Taking from the outbox and storing are one transaction, so an event is stored exactly once, whichever server process
drains the outbox and whenever one of them dies. A process that drains none tells one that does over the broker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service, errors
from prefect_kernel.events import outbox
from prefect_kernel.sql import Statement, Unit, in_list

from .received import Received, from_outbox, narrow
from .storing import store
from .stream import Publisher

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.events")

TOPIC = "event-outbox"
"""Messages say that there is something in the outbox."""

BATCH = 500
"""Events moved in one transaction."""

_TAKE = Statement(
    sa.select(outbox.c.seq, outbox.c.event, outbox.c.created)
    .order_by(outbox.c.seq)
    .limit(sa.bindparam("count", type_=sa.Integer()))
    .with_for_update(skip_locked=True)
)
_REMOVE = Statement(sa.delete(outbox).where(in_list(outbox.c.seq, "seqs")))


Changed = Callable[[list[Received]], list[Received]]
"""What is stored in place of events that the database does not take."""


def drain(kernel: Kernel, count: int = BATCH, change: Changed | None = None) -> Unit[tuple[int, list[Received]]]:
    """Move one batch; gives the number of entries taken, and the events."""
    rows = yield _TAKE(count=count)
    events = list(_events(rows))
    if change is not None:
        events = change(events)
    if rows:
        yield from store(kernel.storage.dialect, events, kernel.clock.now())
        yield _REMOVE(seqs=[row[0] for row in rows])
    return len(rows), events


def _narrowed(events: list[Received]) -> list[Received]:
    for event in events:
        narrow(event)
    return events


def _dropped(events: list[Received]) -> list[Received]:
    for event in events:
        log.error("event %s (%.200s) of the outbox cannot be stored, and is dropped", event.id, event.event)
    return []


def _events(rows: list[tuple[int, str, datetime]]) -> Iterator[Received]:
    for seq, text, created in rows:
        try:
            yield from_outbox(text, created)
        except ValueError as error:  # it would never become one, and those behind it must not wait
            log.error("entry %d of the outbox is no event and is dropped: %s", seq, error)


class EventPersister(Service):
    """Drains the outbox soon after a commit has put something in, and now and then what other processes left."""

    name: ClassVar[str] = "event-persister"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.server.services.event_persister.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.event_persister.flush_interval)

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        kernel.events.wake = self.wake
        self._publisher = Publisher(kernel)

    async def run(self) -> None:
        async with self.kernel.broker.subscribe(TOPIC, limit=1, gaps=True) as messages:
            hearing = asyncio.create_task(self._hear(messages), name="outboxes of other servers")
            try:
                await super().run()
            finally:
                hearing.cancel()

    async def _hear(self, messages: AsyncIterator[Any]) -> None:
        async for _ in messages:  # whatever it says, or whether some were missed
            self.wake()

    async def tick(self) -> None:
        await asyncio.sleep(self.kernel.settings.kernel.event_batch_seconds)  # let a burst come together
        while await self._move() == BATCH:
            pass

    async def stop(self) -> None:
        while await self._move():
            pass

    async def _move(self) -> int:
        try:
            number, events = await self.kernel.storage.write(drain, self.kernel)
        except (errors.StorageUnavailable, errors.Raced):
            raise
        except errors.StorageError as error:
            log.warning("events of the outbox are stored one by one, since there is one that cannot be: %s", error)
            number, events = await self._move_each()
        await self._publisher.publish(events)
        return number

    async def _move_each(self) -> tuple[int, list[Received]]:
        """Move a batch, each event by itself: what cannot be stored of one must not hold up those behind it."""
        moved: list[Received] = []
        for number in range(BATCH):
            taken, events = await self._move_one()
            if not taken:
                return number, moved
            moved += events
        return BATCH, moved

    async def _move_one(self) -> tuple[int, list[Received]]:
        changes: tuple[Changed | None, ...] = (None, _narrowed)
        for change in changes:
            try:
                found: tuple[int, list[Received]] = await self.kernel.storage.write(drain, self.kernel, 1, change)
            except (errors.StorageUnavailable, errors.Raced):
                raise
            except errors.StorageError:
                continue
            return found
        taken, _ = await self.kernel.storage.write(drain, self.kernel, 1, _dropped)
        return taken, []


class Elsewhere:
    """Tells the process that drains the outbox, now and then while there is something in it."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._telling: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Something was put into the outbox."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        await asyncio.sleep(self._kernel.settings.kernel.event_batch_seconds)  # let a burst come together
        await self._kernel.broker.publish(TOPIC, True)


@asynccontextmanager
async def outbox_wanted(kernel: Kernel) -> AsyncIterator[None]:
    """Lifespan: events go to the outbox when some process drains it, also when that is another one than this."""
    if EventPersister.enabled(kernel.settings):
        kernel.events.wake = Elsewhere(kernel).wake
    yield
