"""What is between two servers goes away while events flow: none that was acknowledged is lost, and who follows the
other server has them all within 15 seconds.

`tox -e faults` pauses Redis for 30 seconds and kills more often; otherwise these are smaller.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import redis as redis_client
from websockets.exceptions import ConnectionClosed

from tests.plugins.brokers.streams import events_named, following
from tests.plugins.events.sockets import an_event, checkpoint, events_socket, send_all
from tests.support import services
from tests.support.fixtures import ServerFactory

from .support import select

FULL = os.environ.get("PREFECT_KERNEL_FAULTS") == "full"
PAUSE_SECONDS = 30 if FULL else 6
KILLS = 5 if FULL else 1
RECOVERY_SECONDS = 15.0
PATIENCE = PAUSE_SECONDS + 15.0

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(900 if FULL else 180)]


@pytest.fixture
def redis() -> Iterator[services.EmbeddedRedis]:
    """A Redis of the test's own."""
    with services.embedded_redis() as started:
        yield started


class Sender:
    """Sends events to a server, a few at a time, and knows which were acknowledged."""

    def __init__(self, api_url: str) -> None:
        self._url = api_url
        self.acknowledged: set[str] = set()
        self.progress = asyncio.Condition()

    async def run(self) -> None:
        """Send until cancelled; begin anew when the connection breaks."""
        while True:
            try:
                async with events_socket(self._url) as socket:
                    while True:
                        events = [an_event("test.fault") for _ in range(5)]
                        await send_all(socket, events)
                        await checkpoint(socket)
                        async with self.progress:
                            self.acknowledged |= {event["id"] for event in events}
                            self.progress.notify_all()
                        await asyncio.sleep(0.02)
            except (ConnectionClosed, OSError, AssertionError):
                await asyncio.sleep(0.1)

    async def more(self, number: int = 50) -> None:
        """Return when so many further events were acknowledged."""
        wanted = len(self.acknowledged) + number
        async with asyncio.timeout(60), self.progress:
            await self.progress.wait_for(lambda: len(self.acknowledged) >= wanted)


@asynccontextmanager
async def sending(api_url: str) -> AsyncIterator[Sender]:
    """A sender at work."""
    sender = Sender(api_url)
    task = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def assert_stored(url: str, ids: set[str]) -> None:
    """All of these events are in the database."""
    stored = {id for (id,) in await select(url, "SELECT id::text FROM events")}
    assert not ids - stored, "events of clients are lost"


def restart(redis: services.EmbeddedRedis) -> None:
    """End Redis at once, and start it with nothing in it."""
    redis.kill()
    redis.start()


def flush(redis: services.EmbeddedRedis) -> None:
    """Empty Redis."""
    with redis_client.Redis.from_url(redis.url) as client:
        client.flushall()


def pause(redis: services.EmbeddedRedis) -> None:
    """Have Redis answer nobody for some time."""
    with redis_client.Redis.from_url(redis.url) as client:
        client.client_pause(PAUSE_SECONDS * 1000)


def answered(redis: services.EmbeddedRedis) -> None:
    """Return when Redis answers again."""
    with redis_client.Redis.from_url(redis.url, socket_timeout=PATIENCE) as client:
        client.ping()


@pytest.mark.parametrize("fault", [restart, flush, pause])
async def test_redis(
    server: ServerFactory,
    postgres_url: str,
    redis: services.EmbeddedRedis,
    fault: Callable[[services.EmbeddedRedis], None],
) -> None:
    """Redis goes away, loses everything or answers nobody: senders notice nothing, who follows catches up."""
    env = {"PREFECT_MESSAGING_BROKER": "prefect_redis.messaging", "PREFECT_REDIS_MESSAGING_URL": redis.url}
    here, there = server(postgres_url, env=env), server(postgres_url, "--no-services", env=env)
    async with (
        following(there.api_url, "events", events_named("test.fault")) as follower,
        sending(here.api_url) as sender,
    ):
        await sender.more()
        await follower.until(set(sender.acknowledged), RECOVERY_SECONDS)
        await asyncio.to_thread(fault, redis)
        await sender.more()  # they do not wait for Redis
        await follower.until(set(sender.acknowledged), RECOVERY_SECONDS)
        await asyncio.to_thread(answered, redis)
        await sender.more()
        await follower.until(set(sender.acknowledged), RECOVERY_SECONDS)
    await assert_stored(postgres_url, sender.acknowledged)
    assert len(follower.ids) == len(set(follower.ids))
    with redis_client.Redis.from_url(redis.url, decode_responses=True, socket_timeout=PATIENCE) as client:
        assert client.keys() == ["prefect-kernel:messages"]
        assert client.xinfo_groups("prefect-kernel:messages") == []
        assert client.xlen("prefect-kernel:messages") < 3000


@pytest.mark.parametrize("broker", ["postgres", "redis"])
async def test_a_server_is_killed(
    server: ServerFactory, postgres_url: str, redis: services.EmbeddedRedis, broker: str
) -> None:
    """What a server acknowledged before it was killed reaches those who follow another one, said or unsaid."""
    env = {"PREFECT_MESSAGING_BROKER": broker, "PREFECT_REDIS_MESSAGING_URL": redis.url}
    here, there = server(postgres_url, env=env), server(postgres_url, "--no-services", env=env)
    async with (
        following(there.api_url, "events", events_named("test.fault")) as follower,
        sending(here.api_url) as sender,
    ):
        for _ in range(KILLS):
            await sender.more()
            here.kill()
            await follower.until(set(sender.acknowledged), RECOVERY_SECONDS)
            await asyncio.to_thread(here.restart)
        await sender.more()
        await follower.until(set(sender.acknowledged), RECOVERY_SECONDS)
    await assert_stored(postgres_url, sender.acknowledged)


async def test_postgres_is_restarted(server: ServerFactory) -> None:
    """With nothing but PostgreSQL between the servers: after its restart all goes on, and nothing is missing."""
    with services.embedded_postgres() as cluster:
        url = cluster.url.replace("postgresql://", "postgresql+asyncpg://")
        here, there = server(url), server(url, "--no-services")
        async with (
            following(there.api_url, "events", events_named("test.fault")) as follower,
            sending(here.api_url) as sender,
        ):
            await sender.more()
            await asyncio.to_thread(cluster.stop)
            await asyncio.to_thread(cluster.start)
            await sender.more()
            await follower.until(set(sender.acknowledged), RECOVERY_SECONDS)
        await assert_stored(url, sender.acknowledged)
        here.stop()
        there.stop()
