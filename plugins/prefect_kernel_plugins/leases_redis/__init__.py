"""Leases in Redis, for who wants them there: in the keys and the format of Prefect's package `prefect-redis`.

Where Redis is, is said by the same settings as for the broker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from prefect_kernel import hookimpl
from prefect_kernel.ports.leases import LeaseDriver, LeaseStorage


@asynccontextmanager
async def open_redis_leases(settings: Any) -> AsyncIterator[LeaseStorage]:
    """The leases in the Redis of the settings; it need not be there yet."""
    from .storage import RedisLeases

    leases = RedisLeases(settings)
    try:
        yield leases
    finally:
        await leases.close()


@hookimpl
def kernel_lease_storages() -> Iterable[LeaseDriver]:
    """Leases in Redis."""
    return [LeaseDriver("redis", open_redis_leases, ("prefect_redis.lease_storage",))]
