"""What is between two servers goes away while events flow: none that was acknowledged is lost, and who follows the
other server has them all within 15 seconds.

`tox -e faults` pauses Redis for 30 seconds and kills more often; otherwise these are smaller.
"""

from __future__ import annotations

import asyncio

import pytest
import redis as redis_client

from tests.plugins.brokers.streams import events_named, following
from tests.support import services
from tests.support.fixtures import ServerFactory

from .away import FULL, PATIENCE, RECOVERY_SECONDS, Fault, answered, on_redis, sending
from .support import select

KILLS = 5 if FULL else 1

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(900 if FULL else 180)]


async def assert_stored(url: str, ids: set[str]) -> None:
    """All of these events are in the database."""
    stored = {id for (id,) in await select(url, "SELECT id::text FROM events")}
    assert not ids - stored, "events of clients are lost"


async def test_redis(server: ServerFactory, postgres_url: str, redis: services.EmbeddedRedis, fault: Fault) -> None:
    """Redis goes away, loses everything or answers nobody: senders notice nothing, who follows catches up."""
    env = on_redis(redis)
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
