"""The broker port: messages to consumers in this and other processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol


class Broker(Protocol):
    """Fan-out of short messages. What must not be lost is in the database; a message only says that it is there."""

    async def publish(self, topic: str, message: Any) -> None:
        """Hand a message to every current subscriber of a topic."""
        ...

    def subscribe(self, topic: str, *, limit: int = 1000) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """The messages of a topic from now on; a subscriber more than `limit` behind loses the oldest."""
        ...


@dataclass(frozen=True)
class BrokerDriver:
    """A named way to open a broker; `aliases` are Prefect's module names for it."""

    name: str
    open: Callable[[Any], AbstractAsyncContextManager[Broker]]
    """Called with the settings."""
    aliases: tuple[str, ...] = ()
