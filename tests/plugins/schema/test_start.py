"""What a server's start and the command line make of a database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from prefect_kernel import settings
from prefect_kernel.errors import DatabaseNotReady, KernelError, StorageUnavailable
from prefect_kernel_plugins.schema import commands
from prefect_kernel_plugins.storage_postgres import open_postgres
from prefect_kernel_plugins.storage_sqlite import open_sqlite

from .databases import Database, without_kernel

pytestmark = pytest.mark.asyncio


def settings_for(url: str, home: Path, **values: str) -> Any:
    """Settings that name a database, and nothing of this machine's."""
    return settings.load({"PREFECT_HOME": str(home), "PREFECT_SERVER_DATABASE_CONNECTION_URL": url, **values}, home)


def opened(url: str, home: Path, **values: str) -> Any:
    """The storage of a URL, as a server opens it."""
    return (open_sqlite if url.startswith("sqlite") else open_postgres)(url, settings_for(url, home, **values))


OFF = {"PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false"}


async def test_start_makes_the_schema(database_url: str, tmp_path: Path) -> None:
    """A server that starts on an empty database finds it ready afterwards."""
    async with opened(database_url, tmp_path) as storage:
        await storage.ping()
    assert "is ready" in await commands.run("check", settings_for(database_url, tmp_path))


async def test_start_in_memory(tmp_path: Path) -> None:
    """A database in memory has the schema on the connection that serves it."""
    async with opened("sqlite+aiosqlite:///:memory:", tmp_path) as storage:

        def revision() -> Any:
            from prefect_kernel.sql import Statement, by_dialect

            sql = "SELECT version_num FROM alembic_version"
            return (yield Statement(by_dialect(sqlite=sql, postgresql=sql))())

        assert await storage.read(revision) == [("a3b9c7d2e5f1",)]


async def test_start_with_migrations_off(database: Database, database_url: str, tmp_path: Path) -> None:
    """With migrations switched off a server asks for the command by name, and works once that has run."""
    await database.upgrade()
    await without_kernel(database)
    with pytest.raises(DatabaseNotReady, match="prefect-kernel database upgrade"):
        async with opened(database_url, tmp_path, **OFF):
            pass
    assert "kernel_event_outbox" not in await database.columns()
    assert "is ready" in await commands.run("upgrade", settings_for(database_url, tmp_path, **OFF))
    async with opened(database_url, tmp_path, **OFF) as storage:
        await storage.ping()


async def test_migrations_off_without_a_file(tmp_path: Path) -> None:
    """With migrations switched off no file is made where there is none."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'none.db'}"
    with pytest.raises(DatabaseNotReady, match="has no tables"):
        async with opened(url, tmp_path, **OFF):
            pass
    assert not (tmp_path / "none.db").exists()


async def test_check_changes_nothing(database: Database, database_url: str, tmp_path: Path) -> None:
    """`check` of an empty database says what to run, and leaves it empty."""
    with pytest.raises(DatabaseNotReady, match="run `prefect-kernel database upgrade` first"):
        await commands.run("check", settings_for(database_url, tmp_path))
    assert await database.columns() == {}


async def test_stamp(database: Database, database_url: str, tmp_path: Path) -> None:
    """`stamp` gives a database with Prefect's tables the head revision."""
    await database.upgrade()
    await database.execute("DELETE FROM alembic_version")
    assert "is ready" in await commands.run("stamp", settings_for(database_url, tmp_path))


async def test_not_a_database(tmp_path: Path) -> None:
    """A file that is no database is called that, and kept."""
    path = tmp_path / "notes.txt"
    path.write_text("These are a few notes, and not a database by any means.\n" * 100)
    with pytest.raises(DatabaseNotReady, match="not a database"):
        await commands.run("upgrade", settings_for(f"sqlite+aiosqlite:///{path}", tmp_path))
    assert path.read_text().startswith("These are a few notes")


async def test_locked_database(tmp_path: Path) -> None:
    """A database that somebody else keeps locked is called unavailable."""
    path = tmp_path / "locked.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode=WAL")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="locked"):
        await commands.run(
            "upgrade", settings_for(f"sqlite+aiosqlite:///{path}", tmp_path, PREFECT_SERVER_DATABASE_TIMEOUT="0.1")
        )
    holder.close()


async def test_database_does_not_exist(postgres_url: str, tmp_path: Path) -> None:
    """A PostgreSQL database that does not exist is an error of one sentence, not a driver's."""
    with pytest.raises(KernelError, match="does not exist"):
        await commands.run("upgrade", settings_for(f"{postgres_url}_missing", tmp_path))
