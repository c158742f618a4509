"""The `databases` interface to an SQLite storage, for plugins that prefer it to units.

`databases`' own SQLite backend opens a connection per query and begins transactions deferred, which makes racing
writers fail at once. This one keeps its connections, sets the kernel's PRAGMAs on them, and begins with the write lock.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiosqlite
from databases import Database
from databases.backends.sqlite import SQLiteBackend, SQLiteConnection, SQLitePool, SQLiteTransaction

from .connection import connect

if TYPE_CHECKING:
    from . import SqliteStorage

LOCK_SECONDS = 10.0


class _Transaction(SQLiteTransaction):
    async def start(self, is_root: bool, extra_options: dict[Any, Any]) -> None:
        if not is_root:
            await super().start(is_root, extra_options)
            return
        self._is_root = True
        connection = self._connection._connection  # noqa: SLF001 - `databases` gives transactions no public way to it
        assert connection is not None
        await connection.execute("BEGIN IMMEDIATE")


class _Connection(SQLiteConnection):
    def transaction(self) -> _Transaction:
        return _Transaction(self)


class _Pool(SQLitePool):
    """Connections that stay open for the next user."""

    def __init__(self, storage: SqliteStorage) -> None:
        self._storage, self._memref = storage, None
        self._free: list[aiosqlite.Connection] = []

    async def acquire(self) -> aiosqlite.Connection:
        if self._free:
            return self._free.pop()
        path = self._storage.path
        connection = aiosqlite.Connection(
            lambda: connect(path, synchronous="normal", busy_timeout=LOCK_SECONDS, cache_kib=2_000, read_only=False),
            iter_chunk_size=64,
        )
        return await connection

    async def release(self, connection: aiosqlite.Connection) -> None:
        self._free.append(connection)

    async def close(self) -> None:
        free, self._free = self._free, []
        await asyncio.gather(*(connection.close() for connection in free))


class KernelSQLiteBackend(SQLiteBackend):
    """`databases`' SQLite backend on the kernel's connections."""

    def __init__(self, url: Any, *, storage: SqliteStorage) -> None:
        super().__init__(url)
        self._pool: _Pool = _Pool(storage)

    async def disconnect(self) -> None:
        await self._pool.close()

    def connection(self) -> _Connection:
        return _Connection(self._pool, self._dialect)


class KernelDatabase(Database):
    """A `databases.Database` whose backend is ours."""

    SUPPORTED_BACKENDS = {"sqlite": f"{__name__}:KernelSQLiteBackend"}


def database_for(storage: SqliteStorage) -> Database:
    """A database over a storage; whoever asks for it connects and disconnects it."""
    return KernelDatabase("sqlite:///" + storage.path, storage=storage)
