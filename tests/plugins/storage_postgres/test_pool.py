"""The pool on a database that takes fewer connections than the pool may have."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from prefect_kernel_plugins.storage_postgres.pool import Pool

pytestmark = [pytest.mark.asyncio]


class Server:
    """Takes so many connections."""

    def __init__(self, most: int) -> None:
        self.most, self.taken, self.refused = most, 0, 0

    async def connect(self) -> Any:
        """One more, or the error of PostgreSQL."""
        await asyncio.sleep(0)
        if self.taken >= self.most:
            self.refused += 1
            raise asyncpg.TooManyConnectionsError("sorry, too many clients already")
        self.taken += 1
        return Connection()


class Connection:
    """A connection that does nothing."""

    def is_closed(self) -> bool:
        """It never is."""
        return False

    def is_in_transaction(self) -> bool:
        """It never is."""
        return False

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - as asyncpg has it
        """Nothing to do."""


async def test_whoever_gets_none_waits_for_one_of_ours() -> None:
    """The pool works with the connections that it has, and does not ask for more all the time."""
    server = Server(2)
    pool = Pool(server.connect, size=10, recycle=0, timeout=10)
    served = 0

    async def work() -> None:
        nonlocal served
        connection = await pool.acquire()
        await asyncio.sleep(0)
        served += 1
        await pool.release(connection)

    await asyncio.gather(*(work() for _ in range(50)))
    assert (served, server.taken) == (50, 2)
    assert server.refused <= 50
    assert pool.gauges() == {
        "connections_open": 2,
        "connections_used": 0,
        "connections_limit": 10,
        "connections_awaited": 0,
    }


async def test_without_any_of_ours_it_is_an_error() -> None:
    """Nobody waits for what does not come back, however many ask at once."""
    pool = Pool(Server(0).connect, size=3, recycle=0, timeout=10)
    found = await asyncio.gather(*(pool.acquire() for _ in range(20)), return_exceptions=True)
    assert {type(one) for one in found} == {asyncpg.TooManyConnectionsError}
    assert (pool.gauges()["connections_open"], pool.gauges()["connections_awaited"]) == (0, 0)
