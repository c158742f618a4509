"""The event persister: moves events that the server emitted from the outbox to the event tables.

Taking from the outbox and storing are one transaction, so an event is stored exactly once, whichever server process
drains the outbox and whenever one of them dies. A process that drains none tells one that does over the broker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.events import outbox
from prefect_kernel.sql import Statement, Unit, in_list

from .received import Received, from_outbox
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


def drain(kernel: Kernel) -> Unit[tuple[int, list[Received]]]:
    """Move one batch; gives the number of entries taken, and the events."""
    rows = yield _TAKE(count=BATCH)
    events = list(_events(rows))
    if rows:
        yield from store(kernel.storage.dialect, events, kernel.clock.now())
        yield _REMOVE(seqs=[row[0] for row in rows])
    return len(rows), events


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
        number, events = await self.kernel.storage.write(drain, self.kernel)
        await self._publisher.publish(events)
        return number


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
