"""Leases in the server's database: the default. They come and go in the transaction of the slots that they stand for.

So a restart or a crash loses none, servers on one database see each other's, and the slots that are taken on a limit
are always those that leases (or clients without one) hold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from prefect_kernel import hookimpl
from prefect_kernel.ports.leases import LeaseDriver

from .storage import DatabaseLeases


@asynccontextmanager
async def open_database_leases(settings: Any) -> AsyncIterator[DatabaseLeases]:
    """The leases of the database that the server has open."""
    yield DatabaseLeases()


@hookimpl
def kernel_lease_storages() -> Iterable[LeaseDriver]:
    """Leases in the database."""
    return [LeaseDriver("database", open_database_leases)]
