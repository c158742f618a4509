"""A new database."""

from __future__ import annotations

import re
from typing import Any

import pytest

from conformance.kernel_schema import kernel_ddl
from prefect_kernel.errors import DatabaseNotReady
from prefect_kernel_plugins.schema import heads, kernel_sql
from prefect_kernel_plugins.schema.heads import State
from tests.support.services import Postgres, database_name

from .databases import Database, PostgresDatabase

pytestmark = pytest.mark.asyncio


async def test_equals_the_reference(database: Database, reference_facts: Any) -> None:
    """Tables, columns, types, defaults, constraints, indexes, enums, extensions and the revision are Prefect's."""
    await database.upgrade()
    assert await database.facts() == reference_facts


async def test_empty_then_ready(database: Database) -> None:
    """A database without tables is recognised as empty, and as ready after it was made."""
    assert (await database.detect()).state is State.EMPTY
    assert (await database.upgrade()).state is State.READY
    assert (await database.detect()).state is State.READY


async def test_ready_stays_as_it_is(database: Database) -> None:
    """Upgrading a database that is ready changes nothing."""
    await database.upgrade()
    before = await database.facts(), await database.columns()
    await database.upgrade()
    assert (await database.facts(), await database.columns()) == before


async def test_leftover_version_table(database: Database, reference_facts: Any) -> None:
    """An empty `alembic_version`, which an interrupted start of Prefect leaves, is no obstacle."""
    await database.execute(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
        " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        if database.dialect == "postgresql"
        else heads.statements("sqlite")[0]
    )
    assert (await database.detect()).state is State.EMPTY
    await database.upgrade()
    assert await database.facts() == reference_facts


async def test_beside_other_tables(database: Database) -> None:
    """Tables of somebody else in the same database are neither an obstacle nor touched."""
    await database.execute("CREATE TABLE bookkeeping (id INTEGER)")
    await database.execute("INSERT INTO bookkeeping VALUES (7)")
    assert (await database.upgrade()).state is State.READY
    assert await database.fetch("SELECT id FROM bookkeeping") == [(7,)]


async def test_outbox_counts_on(database: Database) -> None:
    """The outbox numbers its rows by itself, and gives no number a second time after it was emptied."""
    await database.upgrade()
    add = "INSERT INTO kernel_event_outbox (id, event) VALUES ('0195c2a8-0000-7000-8000-000000000001', '{}')"
    await database.execute(add)
    await database.execute("DELETE FROM kernel_event_outbox")
    await database.execute(add)
    [(seq, made)] = await database.fetch("SELECT seq, created IS NOT NULL FROM kernel_event_outbox")
    assert seq == 2
    assert made


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_rendered_kernel_tables(dialect: str) -> None:
    """The SQL from which new databases get the kernel's tables is what the migrations say, up to their head."""
    file = "".join(f"{statement}\n\n" for statement in heads.statements(f"kernel_{dialect}"))
    assert kernel_ddl(dialect).endswith(f"\n\n{file}")
    assert kernel_ddl(dialect).count(";\n\n") == len(heads.statements(f"kernel_{dialect}"))


async def test_kernel_head() -> None:
    """`KERNEL_HEAD` is the newest migration."""
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(kernel_sql.configuration()).get_heads() == [heads.KERNEL_HEAD]


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_known_revisions(dialect: str) -> None:
    """The head and every revision from which there is a step up to it are among Prefect's revisions."""
    known = heads.known_revisions(dialect)
    assert {heads.HEAD[dialect], *heads.STEPS[dialect]} <= known


async def test_postgresql_file_is_neutral() -> None:
    """The PostgreSQL file neither sets anything, nor names owners or schemas."""
    for statement in heads.statements("postgresql"):
        assert re.match(r"CREATE |ALTER TABLE ONLY |INSERT INTO alembic_version ", statement)
        assert not re.search(r"\bpublic\.|\bOWNER\b|\bSCHEMA\b", statement)


# ---------------------------------------------------------------- PostgreSQL's own matters
@pytest.fixture
def role(postgres: Postgres, postgres_url: str) -> Any:
    """A user without any privilege in the database beyond what everybody has."""
    name = f"{database_name(postgres_url)}_user"
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    yield name
    postgres.drop_database(postgres_url)
    postgres.settle()
    postgres.execute(f"DROP ROLE {name}")


async def test_ordinary_user_and_own_schema(postgres_url: str, role: str) -> None:
    """A user who may only create in a schema of its own gets Prefect's tables there; pg_trgm is elsewhere already."""
    admin = await PostgresDatabase.open(postgres_url)
    for statement in (
        "CREATE SCHEMA extensions",
        "CREATE EXTENSION pg_trgm SCHEMA extensions",
        f"CREATE SCHEMA orchestration AUTHORIZATION {role}",
        f"GRANT USAGE ON SCHEMA extensions TO {role}",
    ):
        await admin.execute(statement)
    reference = await PostgresDatabase.open(postgres_url, server_settings={"search_path": "public,extensions"})
    await reference.upgrade()
    try:
        options = {"user": role, "password": "secret", "server_settings": {"search_path": "orchestration"}}
        ordinary = await PostgresDatabase.open(postgres_url, **options)
        try:
            assert (await ordinary.detect()).state is State.EMPTY
            assert (await ordinary.upgrade()).state is State.READY
            assert await ordinary.facts() == await reference.facts()
        finally:
            await ordinary.close()
    finally:
        await reference.close()
        await admin.close()


async def test_user_without_privileges(postgres_url: str, role: str) -> None:
    """Without the right to create, the error says so, and nothing is left behind."""
    ordinary = await PostgresDatabase.open(postgres_url, user=role, password="secret")
    try:
        with pytest.raises(DatabaseNotReady, match="may not create"):
            await ordinary.upgrade()
        assert await ordinary.columns() == {}
    finally:
        await ordinary.close()


async def test_missing_schema(postgres_url: str) -> None:
    """A search path without any schema that exists is named as the reason."""
    lost = await PostgresDatabase.open(postgres_url, server_settings={"search_path": "nowhere"})
    try:
        with pytest.raises(DatabaseNotReady, match="search path"):
            await lost.upgrade()
    finally:
        await lost.close()
