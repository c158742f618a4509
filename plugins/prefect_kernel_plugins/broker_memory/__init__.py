"""The memory broker: messages between parts of one process.

Nothing that must not be lost goes through it alone: what it announces is in the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from prefect_kernel import hookimpl
from prefect_kernel.ports.broker import BrokerDriver

from ..common.fanout import FanOut


class MemoryBroker(FanOut):
    """Fan-out within this process."""

    async def publish(self, topic: str, message: Any) -> None:
        self.put(topic, message)

    async def ping(self) -> None:
        """There is nothing that could be away."""


@asynccontextmanager
async def open_memory(settings: Any) -> AsyncIterator[MemoryBroker]:
    """A broker of this process."""
    yield MemoryBroker()


@hookimpl
def kernel_brokers() -> Iterable[BrokerDriver]:
    return [BrokerDriver("memory", open_memory, ("prefect.server.utilities.messaging.memory",), shared=False)]
