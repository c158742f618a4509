"""Batches of writes as one statement, and the pool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Batch, Statement, Unit
from prefect_kernel_plugins.storage_postgres.driving import combined, drive
from prefect_kernel_plugins.storage_postgres.pool import Pool

TABLES = "CREATE TABLE a (n int PRIMARY KEY); CREATE TABLE b (n int REFERENCES a (n)); INSERT INTO a VALUES (1)"
INSERT_A = Statement(sa.text("INSERT INTO a VALUES (:n)"))
INSERT_B = Statement(sa.text("INSERT INTO b VALUES (:n)"))
CHANGE_A = Statement(sa.text("UPDATE a SET n = :new WHERE n = :n"))


async def connect(url: str) -> Any:
    """A connection to a database with two tables."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute(TABLES)
    return connection


def test_writes_to_different_tables_become_one_statement() -> None:
    """Parameters are numbered through; a change and an insert of one table are combined only where that is said."""
    text = combined(((INSERT_A, None), (INSERT_B, 1)))
    assert text is not None
    assert "$1" in text
    assert "$2" in text
    assert combined(((CHANGE_A, 1), (INSERT_A, None))) is None
    assert combined(((CHANGE_A, 1), (INSERT_A, None)), disjoint=True) is not None


@pytest.mark.asyncio
async def test_a_reference_within_a_batch_holds(postgres_url: str) -> None:
    """A row may refer to one that the same batch inserts."""
    connection = await connect(postgres_url)

    def unit() -> Unit[None]:
        yield Batch([(INSERT_A(n=2), None), (INSERT_B(n=2), 1)], last=True)

    await drive(connection, unit(), True)
    assert await connection.fetchval("SELECT n FROM b") == 2
    await connection.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("last", [True, False])
async def test_a_batch_that_misses_its_rows_leaves_nothing(postgres_url: str, last: bool) -> None:
    """A count that does not hold raises Raced, and the batch's other writes are not there."""
    connection = await connect(postgres_url)

    def unit() -> Unit[None]:
        yield Batch([(INSERT_B(n=1), None), (CHANGE_A(n=7, new=8), 1)], last=last)

    with pytest.raises(errors.Raced):
        await drive(connection, unit(), True)
    assert await connection.fetchval("SELECT count(*) FROM b") == 0
    assert not connection.is_in_transaction()
    await connection.close()


class Stuck:
    """A connection that is cancelled in the middle of something, and can do nothing else any more."""

    ended = False

    def is_closed(self) -> bool:
        return self.ended

    def terminate(self) -> None:
        self.ended = True

    async def execute(self, text: str, *arguments: Any) -> str:
        if text == "BEGIN":
            return text
        raise asyncpg.InternalClientError if text == "ROLLBACK" else asyncio.CancelledError


@pytest.mark.asyncio
async def test_a_cancellation_stays_one_when_rolling_back_fails() -> None:
    """Who is cancelled is not told that the database is away; the connection ends, and with it the transaction."""
    connection = Stuck()

    def unit() -> Unit[None]:
        yield INSERT_A(n=2)

    with pytest.raises(asyncio.CancelledError):
        await drive(connection, unit(), True)
    assert connection.ended


@pytest.mark.asyncio
async def test_the_pool_gives_a_connection_to_the_one_who_waits(postgres_url: str) -> None:
    """With every connection in use one waits; who waits too long is refused; a broken connection is replaced."""
    connect_: Callable[[], Awaitable[Any]] = lambda: asyncpg.connect(postgres_url.replace("+asyncpg", ""))  # noqa: E731
    pool = Pool(connect_, size=1, recycle=0, timeout=0.05)
    first = await pool.acquire()
    with pytest.raises(errors.StorageUnavailable):
        await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    await pool.release(first)
    second = await waiting
    assert second is first
    second.terminate()
    await pool.release(second)
    third = await pool.acquire()
    assert await third.fetchval("SELECT 1") == 1
    await pool.release(third)
    await pool.close()
