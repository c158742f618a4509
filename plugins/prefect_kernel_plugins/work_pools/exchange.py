"""What is to be cleaned up goes to the server process in which a worker of the pool is connected.

A process with messages for a pool of which it has no worker tells the others; one that gets a worker asks for them. Its
own copy stays where it is, known by its id: a worker may be handed it a second time, and find nothing left to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from prefect_kernel.ports.broker import Broker, Missed

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

    from .cleanup import CleanupQueue, Message

log = logging.getLogger("prefect_kernel.work_pools")

TOPIC = "worker-channel-cleanup"
MOST = 100
"""Messages that are handed over at once."""


class Exchange:
    """Tells other processes, without waiting for it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._telling: set[asyncio.Task[None]] = set()

    def _tell(self, said: dict[str, Any]) -> None:
        self._loop.call_soon_threadsafe(self._publish, said)

    def _publish(self, said: dict[str, Any]) -> None:
        task = self._loop.create_task(self._broker.publish(TOPIC, said))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def offer(self, message: Message) -> None:
        """Somebody else may have a worker for a message."""
        fields = ("id", "key", "pool_id", "kind", "target", "data", "queue_id")
        self._tell({"offer": {name: getattr(message, name) for name in fields}})

    def ask(self, pool_id: str) -> None:
        """There is a worker of a pool here."""
        self._tell({"ask": pool_id})


@asynccontextmanager
async def cleanup_exchange(kernel: Kernel) -> AsyncIterator[None]:
    """Lifespan: messages about what is to be cleaned up go to where workers are."""
    from .cleanup import queue_of

    queue = queue_of(kernel)
    async with kernel.broker.subscribe(TOPIC, gaps=True) as messages:
        queue.exchange = Exchange(kernel.broker)
        task = asyncio.create_task(_hear(queue, messages), name="cleanup of other servers")
        try:
            yield
        finally:
            queue.exchange = None
            task.cancel()


async def _hear(queue: CleanupQueue, messages: AsyncIterator[Any]) -> None:
    async for said in messages:
        try:
            if isinstance(said, Missed):
                queue.dispatcher.ask_again()
            elif "ask" in said:
                queue.offer(said["ask"], MOST)
            elif queue.dispatcher.has_workers(said["offer"]["pool_id"]):
                queue.enqueue(**said["offer"])
        except Exception:
            log.exception("what another server wants cleaned up cannot be read; is another version running?")
