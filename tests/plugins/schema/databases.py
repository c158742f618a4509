"""The two kinds of database behind one interface, so that a test says once what holds on both."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from conformance.schema_facts import Facts, postgresql_facts, sqlite_facts
from prefect_kernel_plugins.schema import heads, postgres, sqlite


class SqliteDatabase:
    """A SQLite file and a connection to it."""

    dialect = "sqlite"
    first_upgradable = "f416ea180ae1"
    older = "14806cb26270"

    def __init__(self, path: str) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)

    async def upgrade(self) -> heads.Found:
        """`sqlite.upgrade`."""
        return sqlite.upgrade(self.connection)

    async def detect(self) -> heads.Found:
        """`sqlite.detect`."""
        return sqlite.detect(self.connection)

    async def stamp(self) -> heads.Found:
        """`sqlite.stamp`."""
        return sqlite.stamp(self.connection)

    async def execute(self, sql: str) -> None:
        """Run one statement."""
        self.connection.execute(sql)

    async def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one query."""
        return self.connection.execute(sql).fetchall()

    async def facts(self) -> Facts:
        """What the database consists of, except for `kernel_…`."""
        return sqlite_facts(self.connection)

    async def columns(self) -> dict[str, list[tuple[str, str, bool, bool]]]:
        """(name, type, whether it may be NULL, whether it is of the primary key) of the columns of every table."""
        return {
            table: [
                (name, type_, not not_null, bool(primary_key))
                for _, name, type_, not_null, _, primary_key in await self.fetch(f"PRAGMA table_info({table})")
            ]
            for (table,) in await self.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")
        }

    async def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class PostgresDatabase:
    """A PostgreSQL database and a connection to it."""

    dialect = "postgresql"
    first_upgradable = "9e9dadc36797"
    older = "50737cdaee36"

    def __init__(self, url: str, connection: Any) -> None:
        self.url, self.connection = url, connection

    @classmethod
    async def open(cls, url: str, **options: Any) -> PostgresDatabase:
        """Connect; `options` are asyncpg's."""
        import asyncpg

        url = url.replace("postgresql+asyncpg", "postgresql")
        return cls(url, await asyncpg.connect(url, **options))

    async def upgrade(self) -> heads.Found:
        """`postgres.upgrade`."""
        return await postgres.upgrade(self.connection)

    async def detect(self) -> heads.Found:
        """`postgres.detect`."""
        return await postgres.detect(self.connection)

    async def stamp(self) -> heads.Found:
        """`postgres.stamp`."""
        return await postgres.stamp(self.connection)

    async def execute(self, sql: str) -> None:
        """Run one statement."""
        await self.connection.execute(sql)

    async def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one query."""
        return [tuple(row) for row in await self.connection.fetch(sql)]

    async def facts(self) -> Facts:
        """What the database consists of, except for `kernel_…`."""
        return await postgresql_facts(self.connection)

    async def columns(self) -> dict[str, list[tuple[str, str, bool, bool]]]:
        """(name, type, whether it may be NULL, whether it is of the primary key) of the columns of every table."""
        columns: dict[str, list[tuple[str, str, bool, bool]]] = {}
        for table, *column in await self.fetch(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,"
            " EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary AND a.attnum = ANY (x.indkey))"
            " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND c.relnamespace = 'public'::regnamespace"
            " ORDER BY c.relname, a.attnum"
        ):
            columns.setdefault(table, []).append(tuple(column))
        return columns

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()


Database = SqliteDatabase | PostgresDatabase


async def to_3_8_4(database: Database) -> None:
    """Make of a database at the head what Prefect 3.8.4 leaves: without what came later, and without kernel tables."""
    await database.execute("DROP INDEX ix_flow_run__state_type_coalesce_start_time")
    await database.execute(f"UPDATE alembic_version SET version_num = '{database.first_upgradable}'")
    await without_kernel(database)


async def without_kernel(database: Database) -> None:
    """Make of a database at the head what Prefect 3.8.8 leaves."""
    for table in await database.columns():
        if table.startswith("kernel_"):
            await database.execute(f"DROP TABLE {table}")


async def in_parallel(count: int, work: Any) -> list[Any]:
    """Results of calling synchronous `work` in threads at once."""
    return list(await asyncio.gather(*(asyncio.to_thread(work) for _ in range(count))))
