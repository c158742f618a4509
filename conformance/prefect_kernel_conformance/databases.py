"""The databases behind the servers: rows are put in, changed and read back as plain JSON-like values, on both dialects.

Columns say by their declared type how a value is stored, so nothing here depends on the declarations of the kernel.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - SQLite stores intervals as naive times since then


class Database(Protocol):
    """One database. Values: ids and times as text, intervals as seconds, JSON parsed."""

    dialect: str

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert one row."""
        ...

    def update(self, table: str, where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Change rows; says how many."""
        ...

    def select(
        self, table: str, where: Mapping[str, Any], order_by: str | None = None, columns: Sequence[str] = ()
    ) -> list[Row]:
        """Read rows. A list in `where` means any of its members."""
        ...

    def has_table(self, table: str) -> bool:
        """Whether there is such a table."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def connect(url: str) -> Database:
    """The database of a `PREFECT_SERVER_DATABASE_CONNECTION_URL`."""
    scheme = url.partition("://")[0]
    if scheme.startswith("sqlite"):
        return SqliteDatabase(url.partition(":///")[2].partition("?")[0])
    if scheme.startswith("postgres"):
        return PostgresDatabase(plain_postgres_url(url))
    raise ValueError(f"{url!r} is neither a SQLite nor a PostgreSQL URL.")


def plain_postgres_url(url: str) -> str:
    """The URL without the name of a driver."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql"))


def _time(value: str) -> datetime:
    when = datetime.fromisoformat(value)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _quoted(name: str) -> str:
    return f'"{name}"'


class SqliteDatabase:
    """A SQLite file, opened beside the server that uses it."""

    dialect = "sqlite"

    def __init__(self, path: str) -> None:
        if not Path(path).exists():
            raise FileNotFoundError(f"The SQLite database {path} does not exist.")
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=120, check_same_thread=False)
        self._lock = threading.Lock()
        self._types: dict[str, dict[str, str]] = {}

    def _columns(self, table: str) -> dict[str, str]:
        if not self._types.get(table):
            rows = self._connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,))
            self._types[table] = {name: type_.partition("(")[0] for name, type_ in rows}
        return self._types[table]

    def has_table(self, table: str) -> bool:
        with self._lock:
            return bool(self._columns(table))

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        with self._lock:
            types = self._columns(table)
            names = ", ".join(map(_quoted, row))
            marks = ", ".join("?" for _ in row)
            cells = [_to_sqlite(types[name], name, value) for name, value in row.items()]
            self._connection.execute(f"INSERT INTO {_quoted(table)} ({names}) VALUES ({marks})", cells)

    def update(self, table: str, where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        with self._lock:
            types = self._columns(table)
            setting = ", ".join(f"{_quoted(name)} = ?" for name in values)
            cells = [_to_sqlite(types[name], name, value) for name, value in values.items()]
            condition, more = self._where(table, where)
            cursor = self._connection.execute(f"UPDATE {_quoted(table)} SET {setting}{condition}", [*cells, *more])
            return cursor.rowcount

    def select(
        self, table: str, where: Mapping[str, Any], order_by: str | None = None, columns: Sequence[str] = ()
    ) -> list[Row]:
        with self._lock:
            types = self._columns(table)
            names = list(columns or types)
            condition, cells = self._where(table, where)
            order = f" ORDER BY {order_by}" if order_by else ""
            sql = f"SELECT {', '.join(map(_quoted, names))} FROM {_quoted(table)}{condition}{order}"
            rows = self._connection.execute(sql, cells).fetchall()
            return [
                {name: _from_sqlite(types[name], name, cell) for name, cell in zip(names, row, strict=True)}
                for row in rows
            ]

    def _where(self, table: str, where: Mapping[str, Any]) -> tuple[str, list[Any]]:
        types, parts, cells = self._columns(table), [], []
        for name, value in where.items():
            if isinstance(value, list):
                parts.append(f"{_quoted(name)} IN (SELECT value FROM json_each(?))")
                cells.append(json.dumps(value))
            elif value is None:
                parts.append(f"{_quoted(name)} IS NULL")
            else:
                parts.append(f"{_quoted(name)} = ?")
                cells.append(_to_sqlite(types[name], name, value))
        return (f" WHERE {' AND '.join(parts)}" if parts else ""), cells

    def close(self) -> None:
        self._connection.close()


def _to_sqlite(type_: str, name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "total_run_time":
        return (EPOCH + timedelta(seconds=value)).strftime("%Y-%m-%d %H:%M:%S.%f")
    match type_:
        case "DATETIME":
            return _time(value).strftime("%Y-%m-%d %H:%M:%S.%f")
        case "JSON":
            return json.dumps(value)
        case "BOOLEAN":
            return int(value)
        case _:
            return value


def _from_sqlite(type_: str, name: str, cell: Any) -> Any:
    if cell is None:
        return None
    if name == "total_run_time":
        if isinstance(cell, int) or cell == "0":
            return 0.0
        return (datetime.fromisoformat(cell) - EPOCH).total_seconds()
    match type_:
        case "DATETIME":
            return _iso(_time(cell))
        case "JSON":
            # A column of type JSON has numeric affinity: a lone number is stored as one.
            return json.loads(cell) if isinstance(cell, str) else cell
        case "BOOLEAN":
            return bool(cell)
        case _:
            return cell


class PostgresDatabase:
    """A PostgreSQL database, through asyncpg on an event loop of its own thread."""

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._types: dict[str, dict[str, str]] = {}
        self._connection = self._run(self._open(url))

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    @staticmethod
    async def _open(url: str) -> Any:
        import asyncpg

        connection = await asyncpg.connect(url)
        for name in ("json", "jsonb"):
            await connection.set_type_codec(name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        return connection

    def _columns(self, table: str) -> dict[str, str]:
        if not self._types.get(table):
            sql = (
                "SELECT column_name, udt_name FROM information_schema.columns"
                " WHERE table_name = $1 AND table_schema = current_schema() ORDER BY ordinal_position"
            )
            rows = self._run(self._connection.fetch(sql, table))
            self._types[table] = {row["column_name"]: row["udt_name"] for row in rows}
        return self._types[table]

    def has_table(self, table: str) -> bool:
        return bool(self._columns(table))

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        types = self._columns(table)
        marks = ", ".join(f"${position}" for position in range(1, len(row) + 1))
        cells = [_to_postgres(types[name], value) for name, value in row.items()]
        sql = f"INSERT INTO {_quoted(table)} ({', '.join(map(_quoted, row))}) VALUES ({marks})"
        self._run(self._connection.execute(sql, *cells))

    def update(self, table: str, where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        types = self._columns(table)
        setting = ", ".join(f"{_quoted(name)} = ${position}" for position, name in enumerate(values, 1))
        cells = [_to_postgres(types[name], value) for name, value in values.items()]
        condition, more = self._where(table, where, len(cells))
        done = self._run(self._connection.execute(f"UPDATE {_quoted(table)} SET {setting}{condition}", *cells, *more))
        return int(done.rpartition(" ")[2])

    def select(
        self, table: str, where: Mapping[str, Any], order_by: str | None = None, columns: Sequence[str] = ()
    ) -> list[Row]:
        types = self._columns(table)
        names = list(columns or types)
        condition, cells = self._where(table, where, 0)
        order = f" ORDER BY {order_by}" if order_by else ""
        sql = f"SELECT {', '.join(map(_quoted, names))} FROM {_quoted(table)}{condition}{order}"
        rows = self._run(self._connection.fetch(sql, *cells))
        return [{name: _from_postgres(types[name], row[name]) for name in names} for row in rows]

    def _where(self, table: str, where: Mapping[str, Any], after: int) -> tuple[str, list[Any]]:
        types, parts, cells = self._columns(table), [], []
        for name, value in where.items():
            if value is None:
                parts.append(f"{_quoted(name)} IS NULL")
                continue
            mark = f"${after + len(cells) + 1}"
            if isinstance(value, list):
                parts.append(f"{_quoted(name)} = ANY({mark})")
                cells.append(value)
            else:
                parts.append(f"{_quoted(name)} = {mark}")
                cells.append(_to_postgres(types[name], value))
        return (f" WHERE {' AND '.join(parts)}" if parts else ""), cells

    def close(self) -> None:
        self._run(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _to_postgres(type_: str, value: Any) -> Any:
    if value is None:
        return None
    match type_:
        case "timestamptz":
            return _time(value)
        case "interval":
            return timedelta(seconds=value)
        case _:
            return value


def _from_postgres(type_: str, cell: Any) -> Any:
    if cell is None:
        return None
    match type_:
        case "timestamptz":
            return _iso(cell)
        case "interval":
            return cell.total_seconds()
        case "uuid":
            return str(cell)
        case _:
            return cell
