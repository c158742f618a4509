"""The PostgreSQL broker: LISTEN and NOTIFY of the database that the server is on; nothing else is needed.

It is what servers on PostgreSQL take when no setting names a broker. It has one connection of its own, on which it is
idle as long as nobody listens in another process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from prefect_kernel import errors, hookimpl
from prefect_kernel.ports.broker import Broker, BrokerDriver


@asynccontextmanager
async def open_postgres_broker(settings: Any) -> AsyncIterator[Broker]:
    """A broker between the processes on one PostgreSQL database. Raises SettingsError on other databases."""
    if not settings.database_url.startswith("postgres"):
        raise errors.SettingsError(
            "The broker postgres needs a PostgreSQL database (PREFECT_SERVER_DATABASE_CONNECTION_URL)."
        )
    from ..common.peers import PeerBroker
    from .transport import Notifications

    async with PeerBroker(Notifications(settings)).opened() as broker:
        yield broker


@hookimpl
def kernel_brokers() -> Iterable[BrokerDriver]:
    return [BrokerDriver("postgres", open_postgres_broker, default_on=("postgresql",))]
