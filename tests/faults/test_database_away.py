"""The database goes away under load, or its disk is full: 503 with Retry-After, nothing corrupted, and then on."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import services
from tests.support.fixtures import ServerFactory

from .crowd import Crowd, assert_nothing_lost, make_flow, until, working
from .support import Reporter, reports, select

FULL = os.environ.get("PREFECT_KERNEL_FAULTS") == "full"
RESTARTS = 5 if FULL else 2

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600 if FULL else 180)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[services.EmbeddedPostgres]:
    """A PostgreSQL server of this module's own, which may be stopped."""
    with services.embedded_postgres() as started:
        yield started


async def test_postgres_restarted_under_load(server: ServerFactory, cluster: services.EmbeddedPostgres) -> None:
    """Requests get 503 with Retry-After while it is away, then all goes on in the same process."""
    url = cluster.url.replace("postgresql://", "postgresql+asyncpg://")
    kernel = server(url)
    pid = kernel.process.pid
    crowd = Crowd(kernel.api_url, await make_flow(kernel.api_url))
    async with httpx.AsyncClient(base_url=kernel.api_url) as client:
        made = (await client.post("/flow_runs/", json={"flow_id": crowd.flow_id})).json()["id"]
    events = reports([made], 3000)
    reporter = Reporter(kernel.api_url, events, 50)
    async with working(crowd):
        for _ in range(RESTARTS):
            sending = asyncio.create_task(reporter.send())
            before = crowd.acknowledged
            await until(lambda before=before: crowd.acknowledged > before + 40)  # type: ignore[misc]
            refused = crowd.statuses[503]
            await asyncio.to_thread(cluster.stop)
            await until(lambda refused=refused: crowd.statuses[503] > refused)  # type: ignore[misc]
            async with httpx.AsyncClient(base_url=kernel.api_url) as client:
                assert (await client.get("/health")).status_code == 200
                assert (await client.get("/ready")).status_code == 503
            await asyncio.to_thread(cluster.start)
            before = crowd.acknowledged
            await until(lambda before=before: crowd.acknowledged > before + 40)  # type: ignore[misc]
            if not sending.done():
                await asyncio.wait({sending}, timeout=30)
            sending.cancel()
        for _ in range(20):
            if await reporter.send():
                break
            await asyncio.sleep(0.1)
    assert crowd.unexpected == [], kernel.log()[-6000:]
    assert kernel.process.pid == pid
    assert kernel.process.returncode is None
    await assert_nothing_lost(url, crowd)
    stored = {id for (id,) in await select(url, "SELECT id::text FROM events")}
    assert not {event["id"] for event in events} - stored


async def test_full_disk(server: ServerFactory, sqlite_url: str) -> None:
    """A file of the database that cannot grow: writes get 503, reads go on, and nothing is corrupted.

    The limit is put on the running process, and taken off again.
    """
    path = Path(sqlite_url.split("///", 1)[1])
    kernel = server(sqlite_url)
    crowd = Crowd(kernel.api_url, await make_flow(kernel.api_url))
    pid = kernel.process.pid
    async with working(crowd):
        await until(lambda: crowd.acknowledged > 40)
        sizes = [file.stat().st_size for file in path.parent.glob(f"{path.name}*")]
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        # The log that a server writes to must not be what fails: it is far smaller.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (max(sizes) + 65536, unlimited[1]))
        await until(lambda: crowd.statuses[503] > 20)
        async with httpx.AsyncClient(base_url=kernel.api_url, timeout=30) as client:
            assert (await client.get(f"/flows/{crowd.flow_id}")).status_code == 200
            answer = await client.post("/flow_runs/filter", json={"limit": 1})
            assert answer.status_code == 200
            assert len(answer.json()) == 1
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        before = crowd.acknowledged
        await until(lambda: crowd.acknowledged > before + 40)
    assert crowd.unexpected == [], kernel.log()[-6000:]
    assert kernel.process.returncode is None
    await assert_nothing_lost(sqlite_url, crowd)
    assert await asyncio.to_thread(kernel.stop) == 0
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        connection.close()
