"""Handing messages to the subscribers of one process: what all brokers have in common."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prefect_kernel.ports.broker import Missed, Topic, as_topic


class Subscription:
    """The messages that one subscriber has not read yet."""

    def __init__(self, topic: Topic, limit: int, gaps: bool) -> None:
        self.topic = topic
        self._limit, self._gaps = limit, gaps
        self._messages: deque[tuple[float, Any]] = deque(maxlen=None if gaps else limit)
        self._arrived = asyncio.Event()
        self._began = time.monotonic()

    def put(self, message: Any) -> None:
        """Add a message. When there are too many, the oldest give way, or all of them to one `Missed`."""
        if self._gaps and len(self._messages) >= self._limit:
            oldest, first = self._messages[0]
            self._messages.clear()
            self.miss(first.since if isinstance(first, Missed) else oldest)
            return  # what is looked up in the database has this message, too
        self._messages.append((time.monotonic(), message))
        self._arrived.set()

    def miss(self, since: float) -> None:
        """Messages since then may be lost."""
        if not self._gaps:
            return
        since = max(since, self._began)
        if self._messages and isinstance(last := self._messages[-1][1], Missed):
            since = min(since, last.since)
            self._messages.pop()
        self._messages.append((time.monotonic(), Missed(since)))
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while not self._messages:
            self._arrived.clear()
            await self._arrived.wait()
        return self._messages.popleft()[1]


class FanOut:
    """Who listens to what in this process."""

    def __init__(self) -> None:
        self.topics: dict[str, set[Subscription]] = {}

    def put(self, topic: str, message: Any) -> None:
        """Hand a message to the subscribers of a topic."""
        for subscription in self.topics.get(topic, ()):
            subscription.put(message)

    def miss(self, since: float, topic: str | None = None) -> None:
        """Tell the subscribers of a topic, or of all, that messages since then may be lost."""
        for name in list(self.topics) if topic is None else [topic]:
            for subscription in self.topics.get(name, ()):
                subscription.miss(since)

    def topic(self, name: str) -> Topic | None:
        """The topic of that name, as its subscribers know it; None when there are none."""
        found = next(iter(self.topics.get(name, ())), None)
        return None if found is None else found.topic

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, limit: int = 1000, gaps: bool = False
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """See `Broker.subscribe`."""
        name = str(topic)
        subscription = Subscription(as_topic(topic), limit, gaps)
        first = name not in self.topics
        self.topics.setdefault(name, set()).add(subscription)
        try:
            if first:
                self.changed()
            yield subscription
        finally:
            self.topics[name].discard(subscription)
            if not self.topics[name]:
                del self.topics[name]

    def changed(self) -> None:
        """Called when somebody listens to a topic to which nobody has listened."""
