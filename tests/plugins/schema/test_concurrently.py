"""Several servers that start at once on the same database."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from prefect_kernel_plugins.schema import postgres, sqlite
from prefect_kernel_plugins.schema.heads import State
from prefect_kernel_plugins.storage_sqlite import SqliteStorage

from .databases import PostgresDatabase, SqliteDatabase, in_parallel, to_3_8_4

pytestmark = pytest.mark.asyncio
SERVERS = 6


async def upgrade_sqlite_together(path: Path) -> None:
    """Upgrade one file from several threads, which SQLite keeps apart as it does processes."""
    barrier = threading.Barrier(SERVERS)

    def start() -> State:
        storage = SqliteStorage(str(path), busy_timeout=20)
        barrier.wait()
        return sqlite.run(storage, sqlite.upgrade).state

    assert await in_parallel(SERVERS, start) == [State.READY] * SERVERS


async def upgrade_postgres_together(url: str) -> None:
    """Upgrade one database over several connections."""
    databases = [await PostgresDatabase.open(url) for _ in range(SERVERS)]
    try:
        found = await asyncio.gather(*(postgres.upgrade(database.connection) for database in databases))
        assert [one.state for one in found] == [State.READY] * SERVERS
    finally:
        for database in databases:
            await database.close()


async def test_creation_sqlite(tmp_path: Path) -> None:
    """One makes the file and its schema; the others find it ready."""
    await upgrade_sqlite_together(tmp_path / "new" / "kernel.db")


async def test_creation_postgresql(postgres_url: str) -> None:
    """One makes the schema; the others find it ready."""
    await upgrade_postgres_together(postgres_url)


async def test_upgrade_sqlite(tmp_path: Path) -> None:
    """One brings a 3.8.4 file to the head; the others find it there."""
    database = SqliteDatabase(str(tmp_path / "kernel.db"))
    await database.upgrade()
    await to_3_8_4(database)
    await database.close()
    await upgrade_sqlite_together(tmp_path / "kernel.db")


async def test_upgrade_postgresql(postgres_url: str) -> None:
    """One builds the indexes concurrently, without a deadlock with the others who wait."""
    database = await PostgresDatabase.open(postgres_url)
    await database.upgrade()
    await to_3_8_4(database)
    await database.close()
    await upgrade_postgres_together(postgres_url)
