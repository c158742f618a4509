"""Making and upgrading the schema on a PostgreSQL connection (asyncpg).

An advisory lock makes of several processes which start at once one do it, while the others wait and then find it done.
A new schema is one transaction. Indexes on tables with rows are built concurrently, hence outside of any transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from prefect_kernel.errors import DatabaseNotReady
from prefect_kernel.sql.types import POSTGRESQL

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

LOCK = 0x70726B73  # the key of the advisory lock; any number that nobody else uses
LOCK_RETRY_SECONDS = 0.05


async def detect(connection: Any) -> Found:
    """What the database is; two round trips when it is ready, and no statement that fails."""
    prefect, kernel = await connection.fetchrow(
        "SELECT to_regclass('alembic_version') IS NOT NULL, to_regclass('kernel_alembic_version') IS NOT NULL"
    )
    versions = " UNION ALL ".join(
        f"SELECT version_num, {which} FROM {table}"
        for which, table in enumerate(("alembic_version", "kernel_alembic_version"))
        if (prefect, kernel)[which]
    )
    rows = await connection.fetch(versions) if versions else []
    revisions, kernel_revisions = ([version for version, which in rows if which == w] for w in (0, 1))
    tables = set() if revisions else await _tables(connection)
    return judge(POSTGRESQL, revisions, tables, kernel_revisions)


async def _tables(connection: Any) -> set[str]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid)"
    )
    return {name for (name,) in rows}


async def upgrade(connection: Any) -> Found:
    """Make the database ready from whatever it is, or raise DatabaseNotReady and change nothing."""
    found = await detect(connection)
    if found.state is State.READY:
        return found
    async with _locked(connection):
        # Judged only under the lock: what was seen before may be half of what another process was making.
        found = await detect(connection)
        refuse(found)
        if found.state is State.EMPTY:
            return await _create(connection)
        await _to_head(connection, found)
        await _kernel_to_head(connection, found)
        return await detect(connection)


async def _create(connection: Any) -> Found:
    import asyncpg

    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        found = await detect(connection)
        if found.state is not State.EMPTY:
            refuse(found)
            return found
        if await connection.fetchval("SELECT current_schema()") is None:
            raise DatabaseNotReady("No schema of the search path exists in the database; create one first.")
        script = ";\n".join(s.rstrip(";") for s in statements(POSTGRESQL) + statements("kernel_postgresql"))
        # An interrupted migration of Prefect's leaves an empty `alembic_version` and nothing else.
        script = f"DROP TABLE IF EXISTS alembic_version;\n{script}"
        # The extension may live in a schema off the search path, where its operator class must be named with it.
        if home := await connection.fetchval(
            "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
            " WHERE e.extname = 'pg_trgm' AND n.nspname <> ALL (current_schemas(true))"
        ):
            script = script.replace(" gin_trgm_ops", f" {home}.gin_trgm_ops")
        try:
            await connection.execute(script)
        except asyncpg.InsufficientPrivilegeError as error:
            raise DatabaseNotReady(
                f"The database user may not create the schema ({error}); grant CREATE on the database and the schema, "
                "or have a superuser run `CREATE EXTENSION pg_trgm` in it first."
            ) from error
        return await detect(connection)


@asynccontextmanager
async def _locked(connection: Any) -> AsyncIterator[None]:
    # Asked for again and again, because a statement that waits for a lock has a snapshot, and for the end of all
    # snapshots the holder's CREATE INDEX CONCURRENTLY waits.
    while not await connection.fetchval(f"SELECT pg_try_advisory_lock({LOCK})"):  # noqa: ASYNC110 - held by another process
        await asyncio.sleep(LOCK_RETRY_SECONDS)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute(f"SELECT pg_advisory_unlock({LOCK})")


async def _to_head(connection: Any, found: Found) -> None:
    revision = found.revision
    while revision in STEPS[POSTGRESQL]:
        revision, table, index = STEPS[POSTGRESQL][revision]
        await _ensure_index(connection, table, index)
        await connection.execute("UPDATE alembic_version SET version_num = $1", revision)


async def _ensure_index(connection: Any, table: str, index: str) -> None:
    """Build an index, or rebuild what an interrupted build has left of it."""
    found = await connection.fetchrow(
        "SELECT x.indexrelid::regclass::text AS name, x.indisvalid AS valid FROM pg_index x"
        " JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = to_regclass($1) AND c.relname = $2",
        table,
        index,
    )
    if found is None:
        await connection.execute(index_statement(POSTGRESQL, index).replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
    elif not found["valid"]:
        await connection.execute(f"REINDEX INDEX CONCURRENTLY {found['name']}")


async def _kernel_to_head(connection: Any, found: Found) -> None:
    if found.kernel_revision == KERNEL_HEAD:
        return
    from .kernel_sql import render  # imports alembic

    try:
        for statement in render(POSTGRESQL, found.kernel_revision, in_transaction=False):
            await connection.execute(statement)
    except BaseException:
        if not connection.is_closed() and connection.is_in_transaction():
            await connection.execute("ROLLBACK")
        raise


async def reset(connection: Any) -> Found:
    """Make every table of Prefect and of the kernel anew, empty; those of plugins stay, and what is noted of them."""
    types = [s.split(None, 3)[2] for s in statements(POSTGRESQL) if s.startswith("CREATE TYPE ")]
    kept: list[Any] = []
    async with _locked(connection), connection.transaction():
        tables = await _tables(connection)
        if PLUGIN_MIGRATIONS in tables:
            kept = [tuple(row) for row in await connection.fetch(f"SELECT * FROM {PLUGIN_MIGRATIONS}")]
        for table in sorted(tables & own_tables(POSTGRESQL)):
            await connection.execute(f'DROP TABLE "{table}" CASCADE')
        for name in types:
            await connection.execute(f"DROP TYPE IF EXISTS {name} CASCADE")
    found = await upgrade(connection)
    for row in kept:
        places = ", ".join(f"${n + 1}" for n in range(len(row)))
        await connection.execute(f"INSERT INTO {PLUGIN_MIGRATIONS} VALUES ({places})", *row)
    return found


async def stamp(connection: Any) -> Found:
    """Write Prefect's head revision, whatever stands there; DatabaseNotReady when tables are missing."""
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        if missing := sorted(table_names(POSTGRESQL) - await _tables(connection)):
            raise DatabaseNotReady(f"The database cannot be stamped: it has no table {', '.join(missing)}.")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS alembic_version"
            " (version_num VARCHAR(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)"
        )
        await connection.execute("DELETE FROM alembic_version")
        await connection.execute("INSERT INTO alembic_version VALUES ($1)", HEAD[POSTGRESQL])
    return await detect(connection)


async def prepare(url: str, settings: Any) -> None:
    """Make the database of a URL ready, or only require it when `migrate_on_start` is off."""
    if settings.server.database.migrate_on_start:
        await run(url, settings, upgrade)
    else:
        require_ready(await run(url, settings, detect), MIGRATIONS_OFF)


async def run(url: str, settings: Any, action: Callable[[Any], Awaitable[Found]]) -> Found:
    """Call `action` with a connection to the database, whose statements may take `migration_timeout`."""
    import asyncpg

    from ..storage_postgres import translate
    from ..storage_postgres.options import connect_options

    options = connect_options(url, settings) | {"command_timeout": settings.server.database.migration_timeout}
    try:
        connection = await asyncpg.connect(**options)
        try:
            return await action(connection)
        finally:
            await connection.close(timeout=10)
    except Exception as error:
        raise translate(error) from error
