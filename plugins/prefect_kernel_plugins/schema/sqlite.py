"""Making and upgrading the schema on a SQLite connection (`isolation_level=None`).

Everything happens in one transaction that begins with the write lock, so that of several processes which start at once
one does it, and the others wait and then find it done.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prefect_kernel.errors import DatabaseNotReady, StorageUnavailable
from prefect_kernel.sql.types import SQLITE

from .heads import (
    HEAD,
    KERNEL_HEAD,
    MIGRATIONS_OFF,
    PLUGIN_MIGRATIONS,
    STEPS,
    Found,
    State,
    index_statement,
    judge,
    own_tables,
    refuse,
    require_ready,
    statements,
    table_names,
)

OPEN_SECONDS = 10.0


def detect(connection: sqlite3.Connection) -> Found:
    """What the database is; two look-ups when it is ready."""
    try:
        rows = connection.execute(
            "SELECT version_num, 0 FROM alembic_version UNION ALL SELECT version_num, 1 FROM kernel_alembic_version"
        ).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        rows = []
    tables: set[str] = set()
    if not any(kernel == 0 for _, kernel in rows):  # one of the tables is not there, or it is empty
        rows, tables = [], {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        for kernel, table in enumerate(("alembic_version", "kernel_alembic_version")):
            if table in tables:
                rows += connection.execute(f"SELECT version_num, {kernel} FROM {table}").fetchall()
    revisions, kernel_revisions = ([version for version, kernel in rows if kernel == k] for k in (0, 1))
    return judge(SQLITE, revisions, tables, kernel_revisions)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def upgrade(connection: sqlite3.Connection) -> Found:
    """Make the database ready from whatever it is, or raise DatabaseNotReady and change nothing."""
    with _transaction(connection):
        found = detect(connection)
        refuse(found)
        if found.state is State.EMPTY:
            # An interrupted migration of Prefect's leaves an empty `alembic_version` and nothing else.
            connection.execute("DROP TABLE IF EXISTS alembic_version")
            for statement in statements(SQLITE) + statements("kernel_sqlite"):
                connection.execute(statement)
        else:
            _to_head(connection, found)
            _kernel_to_head(connection, found)
        return detect(connection)


def _to_head(connection: sqlite3.Connection, found: Found) -> None:
    revision = found.revision
    while revision in STEPS[SQLITE]:
        revision, _, index = STEPS[SQLITE][revision]
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE type='index' AND name=?", (index,)).fetchone():
            connection.execute(index_statement(SQLITE, index))
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def _kernel_to_head(connection: sqlite3.Connection, found: Found) -> None:
    if found.kernel_revision == KERNEL_HEAD:
        return
    if found.kernel_revision is None:
        for statement in statements("kernel_sqlite"):
            connection.execute(statement)
        return
    from .kernel_sql import render  # imports alembic

    for statement in render(SQLITE, found.kernel_revision, in_transaction=True):
        connection.execute(statement)


def reset(connection: sqlite3.Connection) -> Found:
    """Make every table of Prefect and of the kernel anew, empty; those of plugins stay, and what is noted of them."""
    connection.execute("PRAGMA foreign_keys = OFF")
    kept: list[tuple[Any, ...]] = []
    with _transaction(connection):
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if PLUGIN_MIGRATIONS in tables:
            kept = connection.execute(f"SELECT * FROM {PLUGIN_MIGRATIONS}").fetchall()
        for table in sorted(tables & own_tables(SQLITE)):
            connection.execute(f'DROP TABLE "{table}"')
    found = upgrade(connection)
    for row in kept:
        connection.execute(f"INSERT INTO {PLUGIN_MIGRATIONS} VALUES ({', '.join('?' * len(row))})", row)
    return found


def stamp(connection: sqlite3.Connection) -> Found:
    """Write Prefect's head revision, whatever stands there; DatabaseNotReady when tables are missing."""
    with _transaction(connection):
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if missing := sorted(table_names(SQLITE) - tables):
            raise DatabaseNotReady(f"The database cannot be stamped: it has no table {', '.join(missing)}.")
        if "alembic_version" not in tables:
            (version_table,) = (s for s in statements(SQLITE) if s.startswith("CREATE TABLE alembic_version"))
            connection.execute(version_table)
        connection.execute("DELETE FROM alembic_version")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (HEAD[SQLITE],))
        return detect(connection)


async def prepare(storage: Any, settings: Any) -> None:
    """Make the database of a `SqliteStorage` ready, or only require it when `migrate_on_start` is off."""
    found = run(storage, detect)
    if found.state is not State.READY:
        if not settings.server.database.migrate_on_start:
            require_ready(found, MIGRATIONS_OFF)
        run(storage, upgrade)


def run(storage: Any, action: Callable[[sqlite3.Connection], Found]) -> Found:
    """Call `action` with a connection of a `SqliteStorage` that has not been started.

    Only `upgrade` and `reset` make a file that does not exist.
    """
    if not storage.in_memory:
        is_uri = storage.path.startswith("file:")
        file = Path(urlsplit(storage.path).path if is_uri else storage.path)
        if action in (upgrade, reset):
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageUnavailable(f"The folder {file.parent} cannot be made: {error.strerror}.") from error
        elif not file.exists():
            return Found(SQLITE, State.EMPTY)
    try:
        connection = _open(storage)
        try:
            return action(connection)
        finally:
            if not storage.in_memory:  # which lives as long as its only connection
                connection.close()
    except sqlite3.OperationalError as error:
        raise StorageUnavailable(str(error)) from error  # the caller says which database
    except sqlite3.DatabaseError as error:
        raise DatabaseNotReady(f"The file {storage.path} is not a usable SQLite database: {error}.") from error


def _open(storage: Any) -> sqlite3.Connection:
    deadline = time.monotonic() + OPEN_SECONDS
    while True:
        try:
            connection: sqlite3.Connection = storage.open_writer()
            return connection
        except sqlite3.OperationalError as error:
            # While somebody else turns a new file to WAL mode, SQLite does not wait by itself.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
