"""An open database with Prefect's schema, on SQLite and on PostgreSQL, and a kernel over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from prefect_kernel_plugins.storage_postgres import open_postgres
from prefect_kernel_plugins.storage_sqlite import open_sqlite

from .support import SETTINGS, FakeKernel


@pytest_asyncio.fixture
async def kernel(database_url: str) -> AsyncIterator[FakeKernel]:
    """A kernel whose storage is a new database."""
    opener: Any = open_sqlite if database_url.startswith("sqlite") else open_postgres
    async with opener(database_url, SETTINGS) as storage:
        yield FakeKernel(storage)
