"""The built-in storages keep the contract of storages."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from prefect_kernel.ports.storage import Storage
from prefect_kernel.settings import load
from prefect_kernel.testing.contracts import StorageContract
from prefect_kernel_plugins.storage_postgres import open_postgres
from prefect_kernel_plugins.storage_sqlite import open_sqlite


class TestSqlite(StorageContract):
    """SQLite."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[Storage]:
        settings = load(environ={"PREFECT_HOME": str(tmp_path)}, cwd=tmp_path)
        return open_sqlite(settings.database_url, settings)


class TestPostgres(StorageContract):
    """PostgreSQL."""

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[Storage]:
        settings = load(
            environ={"PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_DATABASE_CONNECTION_URL": self.url}, cwd=tmp_path
        )
        return open_postgres(settings.database_url, settings)
