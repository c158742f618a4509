"""The `databases` interface to a PostgreSQL storage, for plugins that prefer it to units: same pool and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from databases import Database
from databases.backends.postgres import PostgresBackend

if TYPE_CHECKING:
    from . import PostgresStorage


class KernelPostgresBackend(PostgresBackend):
    """`databases`' PostgreSQL backend on the storage's pool, which it neither opens nor closes."""

    def __init__(self, url: Any, *, storage: PostgresStorage) -> None:
        super().__init__(url)
        self._storage = storage
        self._pool: Any = None

    async def connect(self) -> None:
        self._pool = self._storage.pool

    async def disconnect(self) -> None:
        self._pool = None


class KernelDatabase(Database):
    """A `databases.Database` whose backend is ours."""

    SUPPORTED_BACKENDS = {"postgresql": f"{__name__}:KernelPostgresBackend"}


def database_for(storage: PostgresStorage) -> Database:
    """A database over a storage; connecting and disconnecting it leaves the storage's pool alone."""
    return KernelDatabase("postgresql://storage", storage=storage)
