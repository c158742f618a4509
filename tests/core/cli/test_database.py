"""`prefect-kernel database upgrade|stamp|check`, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from .conftest import Run

NOTES = """
from prefect_kernel import hookimpl
from prefect_kernel.migrations import Migration, MigrationSet

KERNEL_API = ">=1.0"
CREATE = ["CREATE TABLE notes_note (text VARCHAR NOT NULL)"]

@hookimpl
def kernel_migrations():
    return MigrationSet("notes", [Migration("0001", {"sqlite": CREATE, "postgresql": CREATE})])
"""


@pytest.fixture
def here(database_url: str) -> dict[str, str]:
    """The environment that names a new, empty database."""
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url, "PREFECT_KERNEL_NO_AUTOLOAD": "1"}


def test_from_nothing(run: Run, here: dict[str, str]) -> None:
    """An empty database is not ready; `upgrade` makes it so, and is no trouble the second time."""
    before = run("database", "check", **here)
    assert before.code == 1
    assert before.err == (
        "Error: The database has no tables of Prefect; run `prefect-kernel database upgrade` first.\n"
        if "MIGRATE" not in before.err
        else before.err
    )
    for _ in range(2):
        upgraded = run("database", "upgrade", **here)
        assert upgraded.code == 0
        assert "The database is ready" in upgraded.out
    assert run("database", "check", **here).code == 0


def test_tables_of_plugins(run: Run, here: dict[str, str], tmp_path: Path) -> None:
    """`check` says that a plugin's tables are missing, and `upgrade` makes them."""
    file = tmp_path / "notes.py"
    file.write_text(NOTES)
    assert run("database", "upgrade", **here).code == 0
    missing = run("database", "check", "--plugins", str(file), **here)
    assert missing.code == 1
    assert "The database lacks migrations of plugin notes" in missing.err
    assert run("database", "upgrade", "--plugins", str(file), **here).code == 0
    assert run("database", "check", "--plugins", str(file), **here).code == 0


def test_stamp(run: Run, here: dict[str, str]) -> None:
    """A database without Prefect's tables is not stamped; one with them is, and stays ready."""
    refused = run("database", "stamp", **here)
    assert (refused.code, refused.out) == (1, "")
    assert "cannot be stamped" in refused.err
    assert run("database", "upgrade", **here).code == 0
    assert run("database", "stamp", **here).code == 0
    assert run("database", "check", **here).code == 0


@pytest.mark.parametrize("command", [("database", "upgrade"), ("serve", "--port", "0")])
def test_a_folder_that_cannot_be_made(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    """A database in a folder that cannot be made is one sentence that names the folder."""
    (tmp_path / "file").write_text("no folder")
    url = f"sqlite+aiosqlite:///{tmp_path}/file/within/prefect.db"
    told = run(*command, PREFECT_SERVER_DATABASE_CONNECTION_URL=url)
    assert told.code == 1
    assert told.err == (
        f"Error: The database {url} cannot be used: The folder {tmp_path}/file/within cannot be made: "
        "Not a directory.\n"
    )


@pytest.mark.parametrize("command", [("database", "check"), ("serve", "--port", "0")])
def test_a_database_that_is_not_there(run: Run, postgres_url: str, command: tuple[str, ...]) -> None:
    """Where PostgreSQL knows no such database, the sentence says which URL is meant."""
    url = make_url(postgres_url).set(database="no_such_database", password="hush")
    told = run(*command, PREFECT_SERVER_DATABASE_CONNECTION_URL=url.render_as_string(hide_password=False))
    assert told.code == 1
    assert told.err == (
        f'Error: The database {url.render_as_string()} cannot be used: database "no_such_database" does not exist\n'
    )


@pytest.mark.parametrize("command", [("database", "upgrade"), ("serve", "--port", "0")])
def test_a_folder_in_place_of_a_database(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    """A database that SQLite cannot open is named once."""
    url = f"sqlite+aiosqlite:///{tmp_path}"
    told = run(*command, PREFECT_SERVER_DATABASE_CONNECTION_URL=url)
    assert told.code == 1
    assert told.err == f"Error: The database {url} cannot be used: unable to open database file\n"
