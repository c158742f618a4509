"""Databases that exist already."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from conformance.schema_dump import run_reference
from prefect_kernel.errors import DatabaseNotReady
from prefect_kernel_plugins.schema import heads, kernel_sql, postgres, sqlite
from prefect_kernel_plugins.schema.heads import State

from .databases import Database, PostgresDatabase, to_3_8_4, without_kernel

pytestmark = pytest.mark.asyncio

INSERT_FLOW = "INSERT INTO flow (id, name) VALUES ('6a1f2c1e-6f0b-4c0e-9a53-0d9a6a3f5e11', 'kept')"


async def test_from_3_8_4(database: Database, reference_facts: Any) -> None:
    """A database of Prefect 3.8.4 gets the indexes of 3.8.8 and the kernel's tables, and keeps its rows."""
    await database.upgrade()
    await to_3_8_4(database)
    await database.execute(INSERT_FLOW)
    assert await database.facts() != reference_facts
    assert (await database.detect()).state is State.UPGRADABLE
    assert (await database.upgrade()).state is State.READY
    assert await database.facts() == reference_facts
    assert await database.fetch("SELECT name FROM flow") == [("kept",)]


async def test_index_is_there_already(database: Database, reference_facts: Any) -> None:
    """An index that exists before its revision was recorded is taken as it is."""
    await database.upgrade()
    await database.execute(f"UPDATE alembic_version SET version_num = '{database.first_upgradable}'")
    assert (await database.upgrade()).state is State.READY
    assert await database.facts() == reference_facts


async def test_from_3_8_8(database: Database, reference_facts: Any) -> None:
    """A database that Prefect 3.8.8 made gets the kernel's tables and is otherwise left alone."""
    await database.upgrade()
    await without_kernel(database)
    assert (await database.detect()).state is State.NEEDS_KERNEL
    assert (await database.upgrade()).state is State.READY
    assert await database.facts() == reference_facts
    assert {"kernel_event_outbox", "kernel_migration"} <= set(await database.columns())


@pytest.mark.parametrize("index", ["ix_event_resources__occurred", "ix_flow_run__state_type_coalesce_start_time"])
async def test_invalid_index_is_rebuilt(postgres_url: str, index: str) -> None:
    """What an interrupted concurrent build has left on PostgreSQL is rebuilt."""
    database = await PostgresDatabase.open(postgres_url)
    try:
        await database.upgrade()
        ready = await database.facts()
        await database.execute(f"UPDATE alembic_version SET version_num = '{database.first_upgradable}'")
        await database.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass")
        assert await database.facts() != ready
        await database.upgrade()
        assert await database.facts() == ready
    finally:
        await database.close()


async def refusal(database: Database) -> str:
    """The sentence with which a database is refused, having made sure that nothing in it was changed."""
    before = await database.facts(), await database.columns()
    with pytest.raises(DatabaseNotReady) as caught:
        await database.upgrade()
    assert (await database.facts(), await database.columns()) == before
    return caught.value.message


async def test_older_is_refused(database: Database) -> None:
    """A database older than 3.8.4 is left alone, and what to run first is named."""
    await database.upgrade()
    await to_3_8_4(database)
    await database.execute(f"UPDATE alembic_version SET version_num = '{database.older}'")
    assert (await database.detect()).state is State.OLDER
    message = await refusal(database)
    assert "run `prefect server database upgrade` of Prefect 3.8.8" in message
    assert database.older in message


@pytest.mark.parametrize("versions", [["ffffffffffff"], ["ffffffffffff", "eeeeeeeeeeee"]])
async def test_unknown_is_refused(database: Database, versions: list[str]) -> None:
    """A revision that Prefect 3.8.8 does not know is left alone, and ways back from it are named."""
    await database.upgrade()
    await database.execute("DELETE FROM alembic_version")
    for version in versions:
        await database.execute(f"INSERT INTO alembic_version VALUES ('{version}')")
    assert (await database.detect()).state is State.UNKNOWN
    message = await refusal(database)
    assert f"`prefect server database downgrade -r {heads.HEAD[database.dialect]}`" in message
    assert "`prefect server database upgrade` of Prefect 3.8.8" in message
    assert "ffffffffffff" in message


async def test_head_and_more_is_refused(database: Database) -> None:
    """Prefect's head beside another revision is not taken for the head."""
    await database.upgrade()
    await database.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
    assert (await database.detect()).state is State.UNKNOWN
    await refusal(database)


@pytest.mark.parametrize("loss", ["DROP TABLE", "DELETE FROM"])
async def test_unversioned_is_refused_until_stamped(database: Database, loss: str) -> None:
    """Tables without a revision are refused; once stamped, the database is ready."""
    await database.upgrade()
    await database.execute(f"{loss} alembic_version")
    assert (await database.detect()).state is State.UNVERSIONED
    with pytest.raises(DatabaseNotReady, match="prefect-kernel database stamp"):
        await database.upgrade()
    assert (await database.stamp()).state is State.READY


async def test_stamp(database: Database, reference_facts: Any) -> None:
    """Stamping writes Prefect's head over whatever revision stands there."""
    await database.upgrade()
    await database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert (await database.stamp()).state is State.READY
    assert await database.facts() == reference_facts


async def test_stamp_needs_the_tables(database: Database) -> None:
    """What lacks a table of Prefect's is not stamped."""
    await database.upgrade()
    await database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    await database.execute("DROP TABLE saved_search")
    with pytest.raises(DatabaseNotReady, match="no table saved_search"):
        await database.stamp()
    assert await database.fetch("SELECT version_num FROM alembic_version") == [("ffffffffffff",)]


async def test_newer_kernel_is_refused(database: Database) -> None:
    """Kernel tables of a newer prefect-kernel are not worked with."""
    await database.upgrade()
    await database.execute("UPDATE kernel_alembic_version SET version_num = '9999'")
    assert (await database.detect()).state is State.NEWER_KERNEL
    assert "newer prefect-kernel" in await refusal(database)


NEXT_REVISION = f"""
import sqlalchemy as sa
from alembic import op
from prefect_kernel_plugins.schema.kernel_migrations import create_index

revision = "9999"
down_revision = "{heads.KERNEL_HEAD}"

def upgrade():
    op.add_column("kernel_event_outbox", sa.Column("note", sa.Text()))
    create_index("kernel_flow_name", "flow (name)")
"""


async def test_next_kernel_revision(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further kernel migration, with an index on one of Prefect's tables, is applied to a database with rows."""
    await database.upgrade()
    await database.execute(INSERT_FLOW)
    package = Path(kernel_sql.__file__).parent / "kernel_migrations"
    shutil.copytree(package, tmp_path / "kernel_migrations", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "kernel_migrations" / "versions" / "v9999_note.py").write_text(NEXT_REVISION)
    monkeypatch.setattr(kernel_sql, "HERE", tmp_path)
    for module in (heads, sqlite, postgres):
        monkeypatch.setattr(module, "KERNEL_HEAD", "9999")
    assert (await database.detect()).state is State.NEEDS_KERNEL
    found = await database.upgrade()
    assert (found.state, found.kernel_revision) == (State.READY, "9999")
    assert "note" in [column[0] for column in (await database.columns())["kernel_event_outbox"]]
    with pytest.raises(Exception, match="kernel_flow_name"):
        await database.execute("CREATE INDEX kernel_flow_name ON flow (name)")


class Failing:
    """A connection to PostgreSQL on which each index is built only when it is asked for the second time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.failed: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, sql: str, *values: Any) -> Any:
        """Fail, or do it."""
        if sql.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX")) and sql not in self.failed:
            self.failed.add(sql)
            raise TimeoutError(sql)
        return await self._connection.execute(sql, *values)


async def test_interrupted_everywhere(postgres_url: str) -> None:
    """An upgrade that ends at any index, as with a time-out or a server that is killed, is done by the next start."""
    database = await PostgresDatabase.open(postgres_url)
    try:
        await database.upgrade()
        await without_kernel(database)
        await database.execute(INSERT_FLOW)
        failing, tries = Failing(database.connection), 0
        while tries == len(failing.failed):
            tries += 1
            with contextlib.suppress(TimeoutError):
                await postgres.upgrade(failing)
        assert tries > 10
        assert (await database.detect()).state is State.READY
        assert await database.fetch("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    finally:
        await database.close()


# ---------------------------------------------------------------- with Prefect 3.8.8 itself
@pytest.fixture
def url(database: Database, database_url: str) -> str:
    """The URL of `database` for Prefect."""
    assert database_url
    return database_url


@pytest.mark.reference
async def test_reference_finds_nothing_to_do(
    database: Database, url: str, reference_python: Path, reference_facts: Any
) -> None:
    """Prefect's own upgrade works on a database of ours, and changes nothing: not the kernel's tables either."""
    await database.upgrade()
    run_reference(str(reference_python), url, "upgrade")
    assert await database.facts() == reference_facts
    assert (await database.detect()).state is State.READY


@pytest.mark.reference
async def test_upgrade_of_a_real_3_8_4(
    database: Database, url: str, reference_python: Path, reference_facts: Any
) -> None:
    """From the schema that Prefect's migrations make up to 3.8.4, ours lead where Prefect's own lead."""
    run_reference(str(reference_python), url, "upgrade", "-r", database.first_upgradable)
    assert (await database.detect()).state is State.UPGRADABLE
    assert (await database.upgrade()).state is State.READY
    assert await database.facts() == reference_facts
