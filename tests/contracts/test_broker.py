"""The built-in brokers keep the contract of brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from prefect_kernel.errors import SettingsError
from prefect_kernel.ports.broker import Broker
from prefect_kernel.settings import Settings, load
from prefect_kernel.testing.contracts import BrokerContract, SharedBrokerContract
from prefect_kernel_plugins import broker_postgres, broker_redis
from prefect_kernel_plugins.broker_memory import open_memory
from prefect_kernel_plugins.broker_postgres.transport import Joiner, parts
from tests.support.services import Postgres


def settings(tmp_path: Path, **variables: str) -> Settings:
    """Settings as a server with these variables has them."""
    found = load(environ={"PREFECT_HOME": str(tmp_path), **variables}, cwd=tmp_path)
    found.adopt("broker_redis", broker_redis.kernel_settings())
    return found


class TestMemory(BrokerContract):
    """The broker of one process."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[Broker]:
        return open_memory(None)


class TestPostgres(SharedBrokerContract):
    """LISTEN and NOTIFY."""

    url: str

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def database(cls, postgres: Postgres) -> Iterator[None]:
        """A database for all of these tests."""
        cls.url = postgres.create_database()
        yield
        postgres.drop_database(cls.url)

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[Broker]:
        (driver,) = broker_postgres.kernel_brokers()
        return driver.open(settings(tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL=self.url))


@pytest.mark.parametrize("protocol", ["2", "3"], scope="class")
class TestRedis(SharedBrokerContract):
    """A stream of Redis, spoken to in both of its protocols."""

    @pytest.fixture(autouse=True)
    def place(self, redis_url: str, protocol: str) -> None:
        """A Redis database of the test's own."""
        self.variables = {
            "PREFECT_REDIS_MESSAGING_URL": redis_url,
            "PREFECT_REDIS_MESSAGING_PROTOCOL": protocol,
        }

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[Broker]:
        (driver,) = broker_redis.kernel_brokers()
        return driver.open(settings(tmp_path, **self.variables))


def test_postgres_broker_needs_postgresql(tmp_path: Path) -> None:
    """On SQLite it says what it needs."""
    (driver,) = broker_postgres.kernel_brokers()

    async def act() -> None:
        async with driver.open(settings(tmp_path)):
            pass

    with pytest.raises(SettingsError, match="needs a PostgreSQL database"):
        asyncio.run(act())


def test_parts_of_notifications() -> None:
    """Frames of all lengths come together again, cut between characters; one without all of its parts is dropped."""
    joiner = Joiner()
    for number, text in enumerate(["", "x", "ü€𝄞" * 5000, "a" * 7800, "a" * 7801, "€" * 2600]):
        cut = list(parts(number, text.encode()))
        assert all(len(part.encode()) < 8000 for part in cut)
        joined = [joiner.add(1, part) for part in cut]
        assert joined == [None] * (len(cut) - 1) + [text.encode()]
    first, second, third = parts(7, b"a" * 20_000)
    assert [joiner.add(1, first), joiner.add(1, third), joiner.add(2, second)] == [None, None, None]
    assert joiner.add(1, "no part") is None
