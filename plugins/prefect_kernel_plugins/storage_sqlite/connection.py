"""One SQLite connection: its PRAGMAs, running a unit on it, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from prefect_kernel import errors
from prefect_kernel.sql import Batch, Call, Unit
from prefect_kernel.sql.types import NO_CHARACTER, RANGE, SQLITE

TRANSIENT = {"SQLITE_BUSY", "SQLITE_LOCKED"}
AWAY = {"SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PROTOCOL", "SQLITE_NOMEM"}


def connect(path: str, *, synchronous: str, busy_timeout: float, cache_kib: int, read_only: bool) -> sqlite3.Connection:
    """Open a connection with the kernel's PRAGMAs.

    `busy_timeout` in seconds is how long SQLite itself waits for another process's lock.
    """
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=busy_timeout, uri=True
    )
    try:
        run = connection.execute
        run("PRAGMA journal_mode=WAL")
        run(f"PRAGMA synchronous={synchronous}")
        run("PRAGMA foreign_keys=ON")
        run(f"PRAGMA cache_size=-{cache_kib}")
        run("PRAGMA temp_store=MEMORY")
        if read_only:
            run("PRAGMA query_only=ON")
    except BaseException:  # such as that the file is no database
        connection.close()
        raise
    return connection


def error_name(error: sqlite3.Error) -> str:
    """SQLite's primary result code of an error, without the extension (`SQLITE_BUSY_SNAPSHOT` -> `SQLITE_BUSY`)."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return "_".join(name.split("_")[:2])


def translate(error: Exception) -> Exception:
    """The kernel's error for one of the driver's."""
    if isinstance(error, sqlite3.IntegrityError):
        if getattr(error, "sqlite_errorname", "") in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"):
            return errors.UniqueViolation(str(error))
        return errors.IntegrityViolation(str(error))
    if isinstance(error, OverflowError | UnicodeEncodeError):
        return errors.InvalidValue(RANGE if isinstance(error, OverflowError) else NO_CHARACTER)
    if isinstance(error, sqlite3.Error) and error_name(error) == "SQLITE_TOOBIG":
        return errors.InvalidValue(str(error))
    if isinstance(error, sqlite3.Error):
        if error_name(error) in TRANSIENT | AWAY:
            return errors.StorageUnavailable(str(error))
        return errors.StorageError(str(error))
    return error


def _run(connection: sqlite3.Connection, call: Call) -> Any:
    compiled = call.statement.compiled(SQLITE)
    if call.many:
        connection.executemany(compiled.text, compiled.argument_rows(call.params))
        return len(call.params)
    cursor = connection.execute(compiled.text, compiled.arguments(call.params))
    return compiled.rows(cursor.fetchall()) if compiled.returns_rows else cursor.rowcount


def drive(connection: sqlite3.Connection, unit: Unit[Any]) -> Any:
    """Run a unit to its end on a connection and give its value."""
    send = unit.send
    result: Any = None
    try:
        while True:
            call: Any = send(result)
            if type(call) is Batch:
                for part, expect in call.calls:
                    outcome = _run(connection, part)
                    if expect is not None and (outcome if isinstance(outcome, int) else len(outcome)) != expect:
                        raise errors.Raced
                result = None
                continue
            result = _run(connection, call)
    except StopIteration as stop:
        return stop.value
    finally:
        unit.close()


Start = Callable[[], Unit[Any]]
