"""Write the packaged DDL, and the facts that tests compare with, from real databases that Prefect made.

    python -m conformance.schema_dump --reference PYTHON [--postgres URL]

`PYTHON` is the interpreter of an environment in which Prefect 3.8.8 is installed (or PREFECT_KERNEL_REFERENCE_PYTHON);
`URL` connects to a PostgreSQL server as a user who may create databases (or PREFECT_KERNEL_TEST_POSTGRES_URL). Needs
`pg_dump`. To be run again only when the Prefect version that the kernel replaces changes; then `schema/heads.py` needs
the new head and the way up to it by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .schema_facts import Facts, postgresql_facts, sorted_constraints, sqlite_facts

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "plugins" / "prefect_kernel_plugins" / "schema"
SNAPSHOTS = ROOT / "tests" / "plugins" / "schema" / "reference"

HEADER = """\
-- The schema of Prefect {version} on {dialect}, as `prefect server database upgrade` leaves it.
-- Written by `python -m conformance.schema_dump`; not to be edited. A blank line ends each statement.

"""

# In the order in which Prefect's migrations follow each other, oldest first.
LIST_REVISIONS = """
import prefect, sys
from alembic.script import ScriptDirectory
from pathlib import Path
versions = Path(prefect.__file__).parent / "server/database/_migrations/versions"
print(prefect.__version__)
for dialect in ("sqlite", "postgresql"):
    script = ScriptDirectory(str(versions.parent), version_locations=[str(versions / dialect)])
    for revision in reversed(list(script.walk_revisions())):
        print(dialect, revision.revision)
"""


def run_reference(python: str, url: str, *arguments: str) -> None:
    """Run `prefect server database …` of the reference on a database."""
    with tempfile.TemporaryDirectory(prefix="reference-") as home:
        environment = {
            **os.environ,
            "PREFECT_HOME": home,
            "PREFECT_API_DATABASE_CONNECTION_URL": url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        command = [python, "-m", "prefect", "server", "database", *arguments, "-y"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def postgres_database(url: str, name: str, scheme: str = "postgresql") -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(scheme=scheme, path=f"/{name}"))


@contextmanager
def temporary_postgres(url: str) -> Iterator[str]:
    """The name of a new database, dropped at the end."""
    import asyncpg

    name = f"schema_dump_{uuid.uuid4().hex}"

    async def administer(sql: str) -> None:
        connection = await asyncpg.connect(postgres_database(url, "postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(administer(f"CREATE DATABASE {name}"))
    try:
        yield name
    finally:
        asyncio.run(administer(f"DROP DATABASE {name} WITH (FORCE)"))


async def facts_of_postgres(url: str) -> Facts:
    """The facts of a PostgreSQL database by its URL."""
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return await postgresql_facts(connection)
    finally:
        await connection.close()


def sqlite_ddl(connection: sqlite3.Connection) -> str:
    """The statements as SQLite keeps them, so that a dump is equal to the letter.

    Only the order of constraints and of indexes is ours: in Prefect's databases it differs from one to the next.
    """
    ours = "sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    tables = connection.execute(f"SELECT sql FROM sqlite_master WHERE type = 'table' AND {ours} ORDER BY rowid")
    indexes = connection.execute(f"SELECT sql FROM sqlite_master WHERE type = 'index' AND {ours} ORDER BY name")
    statements = [sorted_constraints(sql) for (sql,) in tables] + [sql for (sql,) in indexes]
    (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    statements.append(f"INSERT INTO alembic_version VALUES('{revision}')")
    if any("\n\n" in statement for statement in statements):
        raise ValueError("a statement has a blank line, which would end it too early")
    return "".join(f"{statement};\n\n" for statement in statements)


def postgresql_ddl(dump: str, revision: str) -> str:
    """The statements of `pg_dump -s`, without session settings, owners and the name of the schema."""
    statements = []
    for block in re.split(r"\n{2,}", re.sub(r"^(--.*|\\.*)\n?", "", dump, flags=re.MULTILINE)):
        statement = block.strip()
        if statement and not re.match(r"SET |SELECT pg_catalog\.set_config|COMMENT ON EXTENSION", statement):
            statements.append(statement.replace(" WITH SCHEMA public", "").replace("public.", ""))
    statements.append(f"INSERT INTO alembic_version VALUES ('{revision}');")
    return "".join(f"{statement}\n\n" for statement in statements)


def write(path: Path, text: str) -> None:
    """Write a file and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(path.relative_to(ROOT))


def snapshot(facts: Facts) -> str:
    """Facts as JSON, one fact a line where it matters for reading a diff."""

    def lines(value: Any, depth: int) -> str:
        if depth and value and isinstance(value, list):
            return "[\n" + ",\n".join(lines(item, depth - 1) for item in value) + "\n]"
        if depth and isinstance(value, dict):
            return "{\n" + ",\n".join(f"{json.dumps(k)}: {lines(v, depth - 1)}" for k, v in value.items()) + "\n}"
        return json.dumps(value)

    return lines(facts, 4 if "tables" in facts else 2) + "\n"


def main() -> None:
    """Make both databases with the reference and write every file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    environ = os.environ.get
    parser.add_argument("--reference", default=environ("PREFECT_KERNEL_REFERENCE_PYTHON"), help="Prefect's python")
    default = "postgresql://postgres@127.0.0.1:5432/postgres"
    parser.add_argument("--postgres", default=environ("PREFECT_KERNEL_TEST_POSTGRES_URL", default), help="URL")
    options = parser.parse_args()
    if not options.reference:
        parser.error("--reference is needed")

    listed = subprocess.run(
        [options.reference, "-c", LIST_REVISIONS], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    version, revisions = listed[0], listed[1:]
    write(SCHEMA / "revisions.txt", "".join(f"{line}\n" for line in revisions))

    with tempfile.TemporaryDirectory(prefix="schema-dump-") as directory:
        path = f"{directory}/reference.db"
        run_reference(options.reference, f"sqlite+aiosqlite:///{path}", "upgrade")
        connection = sqlite3.connect(path)
        write(SCHEMA / "sqlite.sql", HEADER.format(version=version, dialect="SQLite") + sqlite_ddl(connection))
        write(SNAPSHOTS / "sqlite.json", snapshot(sqlite_facts(connection)))
        connection.close()

    with temporary_postgres(options.postgres) as name:
        run_reference(options.reference, postgres_database(options.postgres, name, "postgresql+asyncpg"), "upgrade")
        url = postgres_database(options.postgres, name)
        facts = asyncio.run(facts_of_postgres(url))
        command = ["pg_dump", "--schema-only", "--no-owner", "--no-privileges", "--dbname", url]
        dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        ddl = postgresql_ddl(dump, facts["revision"][0][0])
        write(SCHEMA / "postgresql.sql", HEADER.format(version=version, dialect="PostgreSQL") + ddl)
        write(SNAPSHOTS / "postgresql.json", snapshot(facts))


if __name__ == "__main__":
    main()
