"""The fixtures that every test may use; `conftest.py` files import them by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import processes, reference, services
from .kernel import KernelServer
from .prepared import Prepared

ServerFactory = Callable[..., KernelServer]


@pytest.fixture(scope="session")
def postgres() -> Iterator[services.Postgres]:
    """A PostgreSQL server in which tests make databases."""
    with services.postgres_server() as url:
        server = services.Postgres(url)
        try:
            yield server
        finally:
            server.close()


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """The URL of a Redis server, without a database number; tests take `redis_url`."""
    with services.redis_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: services.Postgres) -> Iterator[str]:
    """The URL (`postgresql+asyncpg://…`) of a new, empty PostgreSQL database."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL (`sqlite+aiosqlite:///…`) of a SQLite file that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'kernel.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a new, empty database: the test runs on SQLite and on PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session")
def prepared(postgres: services.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """What `prepared_url` is a copy of."""
    made = Prepared(tmp_path_factory.mktemp("prepared"), postgres)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def prepared_url(
    request: pytest.FixtureRequest, prepared: Prepared, postgres: services.Postgres, tmp_path: Path
) -> Iterator[str]:
    """The URL of a database with the schema and nothing of a test: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield prepared.sqlite(tmp_path)
        return
    url = prepared.postgresql()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def redis_url(redis_server_url: str) -> Iterator[str]:
    """The URL of a Redis database that is empty and this test's own."""
    with services.redis_database(redis_server_url) as url:
        yield url


@pytest.fixture
def free_port() -> int:
    """A TCP port on 127.0.0.1 that is free."""
    return processes.free_port()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerFactory]:
    """Starts the real kernel: `server(database_url, "--no-services", env={…})`; ended with the test.

    A server that dies by itself, or that does not obey SIGTERM at the end, fails its test.
    """
    started: list[KernelServer] = []

    def start(database_url: str, *options: str, **keywords: object) -> KernelServer:
        kernel = KernelServer(tmp_path / f"server-{len(started)}", database_url, *options, **keywords)  # type: ignore[arg-type]
        started.append(kernel)
        return kernel.start()

    yield start
    for kernel in started:
        kernel.stop()


@pytest.fixture(scope="session")
def reference_python() -> Path:
    """The interpreter of an environment with the living reference, Prefect 3.8.8."""
    return reference.reference_python()


@pytest.fixture
def reference_server(reference_python: Path, tmp_path: Path) -> Iterator[Callable[..., reference.ReferenceServer]]:
    """Starts Python Prefect's own server: `reference_server(database_url, env={…})`; ended with the test."""
    started: list[reference.ReferenceServer] = []

    def start(database_url: str, **keywords: object) -> reference.ReferenceServer:
        made = reference.ReferenceServer(
            reference_python,
            tmp_path / f"reference-{len(started)}",
            database_url,
            **keywords,  # type: ignore[arg-type]
        )
        started.append(made)
        return made.start()

    yield start
    for made in started:
        made.stop()
