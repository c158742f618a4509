"""The built-in lease storages keep the contract of lease storages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from prefect_kernel.app import Kernel
from prefect_kernel.ports.leases import LeaseStorage
from prefect_kernel.settings import load
from prefect_kernel.testing.contracts import LeaseContract
from prefect_kernel_plugins import broker_redis, leases_filesystem, leases_memory, leases_redis


def _open(module: object, tmp_path: Path) -> AbstractAsyncContextManager[LeaseStorage]:
    (driver,) = module.kernel_lease_storages()  # type: ignore[attr-defined]
    opened: AbstractAsyncContextManager[LeaseStorage] = driver.open(
        load(environ={"PREFECT_HOME": str(tmp_path)}, cwd=tmp_path)
    )
    return opened


class TestMemory(LeaseContract):
    """Leases in memory."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[LeaseStorage]:
        return _open(leases_memory, tmp_path)


class TestFilesystem(LeaseContract):
    """Leases in files."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[LeaseStorage]:
        return _open(leases_filesystem, tmp_path)


class TestDatabase(LeaseContract):
    """Leases in the server's database, which is where they are when nobody says otherwise."""

    url: str

    @pytest.fixture(autouse=True)
    def on_a_database(self, prepared_url: str) -> None:
        """Each test on SQLite and on PostgreSQL."""
        self.url = prepared_url

    @asynccontextmanager
    async def open(self, tmp_path: Path) -> AsyncIterator[LeaseStorage]:
        overrides = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": self.url, "kernel.no_autoload": True}
        kernel = Kernel(load(environ={"PREFECT_HOME": str(tmp_path)}, cwd=tmp_path, overrides=overrides))
        await kernel.open(paused=True)
        try:
            assert kernel.lease_driver.name == "database"
            self.storage = kernel.storage
            yield kernel.leases
        finally:
            await kernel.close()


class TestRedis(LeaseContract):
    """Leases in Redis."""

    @pytest.fixture(autouse=True)
    def place(self, redis_url: str) -> None:
        """A Redis database of the test's own."""
        self.url = redis_url

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[LeaseStorage]:
        variables = {"PREFECT_HOME": str(tmp_path), "PREFECT_REDIS_MESSAGING_URL": self.url}
        settings = load(environ=variables, cwd=tmp_path)
        settings.adopt("broker_redis", broker_redis.kernel_settings())
        (driver,) = leases_redis.kernel_lease_storages()
        return driver.open(settings)
