"""The crowd before a real server, on SQLite and on PostgreSQL; the tests of a module share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.races.crowd import Crowd, crowd_at
from tests.support.kernel import KernelServer


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database that is empty when the first test of a module gets it."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database') / 'kernel.db'}"
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="module")
def make_crowd(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Crowd]]:
    """Starts so many servers on the shared database, with a crowd before them."""
    with ExitStack() as stack:

        def make(count: int) -> Crowd:
            servers = []
            for number in range(count):
                options = ["--no-services"] if number else []
                server = KernelServer(tmp_path_factory.mktemp("server"), shared_database_url, *options)
                stack.callback(server.stop)
                servers.append(server.start())
            return stack.enter_context(crowd_at(*servers))

        yield make


@pytest.fixture(scope="module")
def crowd(make_crowd: Callable[[int], Crowd]) -> Crowd:
    """Sixty-four clients of a server process."""
    return make_crowd(1)
