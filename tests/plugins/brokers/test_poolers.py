"""The PostgreSQL broker behind a pooler, which gives itself away by another process id than the database's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from prefect_kernel.settings.load import load
from prefect_kernel_plugins.broker_postgres import transport
from prefect_kernel_plugins.broker_postgres.transport import Notifications

pytestmark = [pytest.mark.asyncio]


@pytest.fixture
def notifications(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notifications:
    """On a connection that says it is to another process than it is."""
    monkeypatch.setattr(asyncpg.Connection, "get_server_pid", lambda _: -1)
    settings = load(environ={"PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres_url})
    return Notifications(settings)


async def test_closed_while_it_connects(notifications: Notifications, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection that comes too late to be closed ends by itself; short-lived servers waited seconds for it."""
    listen = asyncpg.Connection.add_listener

    async def meanwhile(connection: Any, *arguments: Any) -> None:
        await listen(connection, *arguments)
        await notifications.close()

    monkeypatch.setattr(asyncpg.Connection, "add_listener", meanwhile)
    heard: list[None] = []
    async with asyncio.timeout(20):
        await notifications.run(lambda _: None, lambda: heard.append(None))
    assert not heard


async def test_one_that_lets_notifications_through(notifications: Notifications) -> None:
    """As in session mode: nothing is in the way, and what was tried is no frame."""
    heard, frames, came = asyncio.Event(), [], asyncio.Event()

    def receive(frame: bytes) -> None:
        frames.append(frame)
        came.set()

    running = asyncio.create_task(notifications.run(receive, heard.set))
    async with asyncio.timeout(20):
        await heard.wait()
        await notifications.send([b"frame"])
        await came.wait()
        await notifications.close()
        with pytest.raises(ConnectionError):
            await running
    assert frames == [b"frame"]


async def test_one_that_does_not(notifications: Notifications, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in transaction mode: nobody believes to be heard, and closing does not wait for the next attempt."""

    async def nowhere(*_: Any) -> None:
        """What is notified elsewhere does not come."""

    monkeypatch.setattr(transport, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(notifications, "_notify", nowhere)
    heard = asyncio.Event()
    with pytest.raises(ConnectionError, match="lets no notifications through"):
        await notifications.run(lambda _: None, heard.set)
    again = asyncio.create_task(notifications.run(lambda _: None, heard.set))
    async with asyncio.timeout(20):
        await notifications.close()
        await again
    assert not heard.is_set()
