"""What `prefect-kernel database upgrade|stamp|check` do, for the database of the settings."""

from __future__ import annotations

from typing import Any, Literal

from prefect_kernel.errors import DatabaseNotReady

from .heads import Found, State, index_names, own_tables, require_ready

Action = Literal["upgrade", "stamp", "check", "reset", "indexes", "tables"]


async def run(action: Action, settings: Any) -> str:
    """Do it and give one sentence about what the database is now; raises DatabaseNotReady or StorageUnavailable.

    `check` changes nothing and raises unless the database is ready. `upgrade` does not run plugins' own migrations,
    which need the database open: `prefect_kernel.migrations.migrate`. `reset` drops everything of Prefect and of the
    kernel and makes it anew. `indexes` and `tables` give the names of those that there should be, separated by spaces.
    """
    url = settings.database_url
    dialect = "sqlite" if url.startswith("sqlite") else "postgresql"
    if action == "indexes":
        return " ".join(index_names(dialect))
    if action == "tables":
        return " ".join(sorted(own_tables(dialect)))
    found = await (_sqlite if dialect == "sqlite" else _postgres)(action, url, settings)
    if action == "stamp" and found.state is State.EMPTY:  # there was not even a file
        raise DatabaseNotReady("The database cannot be stamped: it has no tables of Prefect.")
    if action == "check":
        require_ready(found)
    return str(found)


async def _sqlite(action: Action, url: str, settings: Any) -> Found:
    from ..storage_sqlite import storage_of
    from . import sqlite

    actions = {"upgrade": sqlite.upgrade, "stamp": sqlite.stamp, "reset": sqlite.reset, "check": sqlite.detect}
    return sqlite.run(storage_of(url, settings), actions[action])


async def _postgres(action: Action, url: str, settings: Any) -> Found:
    from . import postgres

    actions = {"upgrade": postgres.upgrade, "stamp": postgres.stamp, "reset": postgres.reset, "check": postgres.detect}
    return await postgres.run(url, settings, actions[action])
