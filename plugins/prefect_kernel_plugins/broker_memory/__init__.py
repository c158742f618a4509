"""The memory broker: messages between parts of one process.

Nothing that must not be lost goes through it alone: what it announces is in the database.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from prefect_kernel import hookimpl
from prefect_kernel.ports.broker import BrokerDriver


class _Subscription:
    """The messages that one subscriber has not read yet; the oldest give way when there are too many."""

    def __init__(self, limit: int) -> None:
        self._messages: deque[Any] = deque(maxlen=limit)
        self._arrived = asyncio.Event()

    def put(self, message: Any) -> None:
        self._messages.append(message)
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while not self._messages:
            self._arrived.clear()
            await self._arrived.wait()
        return self._messages.popleft()


class MemoryBroker:
    """Fan-out within this process."""

    def __init__(self) -> None:
        self._topics: defaultdict[str, set[_Subscription]] = defaultdict(set)

    async def publish(self, topic: str, message: Any) -> None:
        for subscription in self._topics.get(topic, ()):
            subscription.put(message)

    @asynccontextmanager
    async def subscribe(self, topic: str, *, limit: int = 1000) -> AsyncIterator[AsyncIterator[Any]]:
        subscription = _Subscription(limit)
        self._topics[topic].add(subscription)
        try:
            yield subscription
        finally:
            self._topics[topic].discard(subscription)
            if not self._topics[topic]:
                del self._topics[topic]


@asynccontextmanager
async def open_memory(settings: Any) -> AsyncIterator[MemoryBroker]:
    """A broker of this process."""
    yield MemoryBroker()


@hookimpl
def kernel_brokers() -> Iterable[BrokerDriver]:
    return [BrokerDriver("memory", open_memory, ("prefect.server.utilities.messaging.memory",))]
