"""Migrations of plugins' own tables, through both storages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from prefect_kernel.errors import DatabaseNotReady, PluginError, StorageError
from prefect_kernel.migrations import Migration, MigrationSet, migrate
from prefect_kernel.sql import Statement, by_dialect

from .test_start import opened


def both(revision: str, *statements: str) -> Migration:
    """A migration that says the same on both dialects."""
    return Migration(revision, {"sqlite": statements, "postgresql": statements})


FIRST = both("0001", "CREATE TABLE audit_note (id INTEGER PRIMARY KEY, note VARCHAR)")
SECOND = both(
    "0002",
    "INSERT INTO audit_note VALUES (1, 'at 10:30, :name, \\:x, 100%')",
    "INSERT INTO audit_note VALUES (2, CAST(5 AS VARCHAR))",
)


@pytest_asyncio.fixture
async def storage(database_url: str, tmp_path: Path) -> AsyncIterator[Any]:
    """An open storage with the schema."""
    async with opened(database_url, tmp_path) as made:
        yield made


async def rows(storage: Any, sql: str) -> list[Any]:
    """The rows of a query."""

    def unit() -> Any:
        return (yield Statement(by_dialect(sqlite=sql, postgresql=sql))())

    return [tuple(row) for row in await storage.read(unit)]


LEDGER = "SELECT plugin, revision FROM kernel_migration ORDER BY plugin, revision"


@pytest.mark.asyncio
async def test_applied_once_in_order(storage: Any) -> None:
    """Every migration is applied once, the new ones of a later version too, and written down."""
    assert await migrate(storage, [MigrationSet("audit", [FIRST])]) == ["audit"]
    assert await migrate(storage, [MigrationSet("audit", [FIRST])]) == []
    assert await migrate(storage, [MigrationSet("audit", [FIRST, SECOND])]) == ["audit"]
    assert await rows(storage, LEDGER) == [("audit", "0001"), ("audit", "0002")]
    assert await rows(storage, "SELECT note FROM audit_note ORDER BY id") == [
        ("at 10:30, :name, \\:x, 100%",),
        ("5",),
    ]


@pytest.mark.asyncio
async def test_casts_and_colons(storage: Any) -> None:
    """Colons in statements are the statement's own: casts and times, not parameters."""
    cast = "SELECT '1'::integer + '2'::integer"
    made = Migration("0001", {"sqlite": ["SELECT strftime('%H:%M:%S')"], "postgresql": [cast]})
    assert await migrate(storage, [MigrationSet("audit", [made])]) == ["audit"]


@pytest.mark.asyncio
async def test_failure_leaves_nothing(storage: Any) -> None:
    """A migration that fails is rolled back as a whole; what came before it stays."""
    broken = both("0002", "CREATE TABLE audit_more (id INTEGER)", "INSERT INTO audit_missing VALUES (1)")
    with pytest.raises(StorageError, match="audit_missing"):
        await migrate(storage, [MigrationSet("audit", [FIRST, broken])])
    assert await rows(storage, LEDGER) == [("audit", "0001")]
    with pytest.raises(StorageError, match="audit_more"):
        await rows(storage, "SELECT * FROM audit_more")


@pytest.mark.asyncio
async def test_at_once(storage: Any) -> None:
    """Servers that start at once apply each migration once between them."""
    declared = [MigrationSet("audit", [FIRST, SECOND])]
    await asyncio.gather(*(migrate(storage, declared) for _ in range(4)))
    assert await rows(storage, LEDGER) == [("audit", "0001"), ("audit", "0002")]


@pytest.mark.asyncio
@pytest.mark.parametrize("later", [[], [SECOND], [both("0000"), FIRST]], ids=["removed", "replaced", "put before"])
async def test_history_does_not_change(storage: Any, later: list[Migration]) -> None:
    """A plugin whose list does not begin with what was applied is refused."""
    await migrate(storage, [MigrationSet("audit", [FIRST])])
    with pytest.raises(DatabaseNotReady, match="plugin audit"):
        await migrate(storage, [MigrationSet("audit", later)])


@pytest.mark.asyncio
async def test_not_allowed(storage: Any) -> None:
    """With migrations switched off, what is pending is an error that names the command; nothing pending is none."""
    with pytest.raises(DatabaseNotReady, match="prefect-kernel database upgrade"):
        await migrate(storage, [MigrationSet("audit", [FIRST])], allowed=False)
    assert await rows(storage, LEDGER) == []
    await migrate(storage, [MigrationSet("audit", [FIRST])])
    assert await migrate(storage, [MigrationSet("audit", [FIRST])], allowed=False) == []


@pytest.mark.asyncio
async def test_names_are_unique(storage: Any) -> None:
    """Two sets of one name are refused."""
    with pytest.raises(PluginError, match="same name"):
        await migrate(storage, [MigrationSet("audit", [FIRST]), MigrationSet("audit", [FIRST])])


def test_declaration_is_checked() -> None:
    """A missing dialect, a string in place of a list, and a revision given twice are refused at once."""
    with pytest.raises(PluginError, match="no statements for postgresql"):
        Migration("0001", {"sqlite": []})
    with pytest.raises(PluginError, match="must be a list"):
        Migration("0001", {"sqlite": "SELECT 1", "postgresql": "SELECT 1"})
    with pytest.raises(PluginError, match="same revision"):
        MigrationSet("audit", [FIRST, FIRST])
