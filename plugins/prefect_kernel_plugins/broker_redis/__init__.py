"""The Redis broker: one bounded stream, which every process reads from where it has begun to listen.

No consumer groups: work that only one process may do is claimed in the database, which also knows what became of it, so
a reader leaves nothing behind. Settings have the names of Prefect's package `prefect-redis`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from prefect_kernel import hookimpl
from prefect_kernel.ports.broker import Broker, BrokerDriver
from prefect_kernel.settings import Setting

from ..common.redis_client import SETTINGS


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return SETTINGS


@asynccontextmanager
async def open_redis_broker(settings: Any) -> AsyncIterator[Broker]:
    """A broker between the processes that use one Redis database."""
    from ..common.peers import PeerBroker
    from .transport import Stream

    async with PeerBroker(Stream(settings)).opened() as broker:
        yield broker


@hookimpl
def kernel_brokers() -> Iterable[BrokerDriver]:
    return [BrokerDriver("redis", open_redis_broker, ("prefect_redis.messaging",))]
