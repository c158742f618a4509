"""Fixtures of the schema tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from .databases import Database, PostgresDatabase, SqliteDatabase


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A new, empty database, on SQLite and on PostgreSQL."""
    made: Database
    if database_url.startswith("sqlite"):
        made = SqliteDatabase(database_url.split("///", 1)[1])
    else:
        made = await PostgresDatabase.open(database_url)
    yield made
    await made.close()


@pytest.fixture
def reference_facts(database: Database) -> Any:
    """What a database consists of that `prefect server database upgrade` of Prefect 3.8.8 has made."""
    return json.loads((Path(__file__).parent / "reference" / f"{database.dialect}.json").read_text())
