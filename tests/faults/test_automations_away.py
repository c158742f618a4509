"""Redis or PostgreSQL goes away while events come and automations fire: no firing is missed, none is doubled.

What was acknowledged has fired and was acted upon within 15 seconds of the end of the fault. `tox -e faults` pauses
Redis for 30 seconds and repeats each fault; otherwise these are smaller.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.plugins.events.sockets import an_event
from tests.support import services
from tests.support.fixtures import ServerFactory
from tests.support.kernel import KernelServer

from .automations import THRESHOLD, make_automations
from .away import FULL, RECOVERY_SECONDS, Fault, Sender, answered, on_redis, sending
from .support import select

ROUNDS = 3 if FULL else 1
PATIENCE = 150.0

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(900 if FULL else 240)]

_ACTED = "SELECT count(*) FROM kernel_automation_action WHERE status = 'done' AND number = 0"


def fault_event() -> dict[str, Any]:
    """An event of a time to come, so that what was counted is kept for long enough."""
    return an_event("fault.made", occurred=(datetime.now(UTC) + timedelta(hours=1)).isoformat())


async def until_acted(url: str, events: int, seconds: float) -> None:
    """Return when both automations have done what so many events have them do."""
    wanted, found = events + events // THRESHOLD, 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                ((found,),) = await select(url, _ACTED)
                if found >= wanted:
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{found} of {wanted} actions were done within {seconds:g} s") from None


async def assert_each_fired_once(url: str, sender: Sender, each: str, fifth: str) -> None:
    """Every event that is stored has fired, once, and was acted upon, once; all that was acknowledged is stored."""
    stored = [id for (id,) in await select(url, "SELECT id::text FROM events WHERE event = 'fault.made'")]
    assert not sender.acknowledged - set(stored), "events of clients are lost"
    await until_acted(url, len(stored), PATIENCE)
    rows = await select(url, "SELECT automation_id::text, firing FROM kernel_automation_firing")
    fired = [(automation, json.loads(firing)["triggering_event"]["id"]) for automation, firing in rows]
    assert Counter(id for automation, id in fired if automation == each) == Counter(stored)
    assert sum(automation == fifth for automation, _ in fired) == len(stored) // THRESHOLD
    runs = await select(url, "SELECT parameters::text FROM flow_run")
    assert Counter(json.loads(text)["event"] for (text,) in runs) == Counter(stored)
    statuses = dict(await select(url, "SELECT status, count(*) FROM kernel_automation_action GROUP BY status"))
    assert statuses == {"done": len(stored) + len(stored) // THRESHOLD}


async def test_redis(server: ServerFactory, postgres_url: str, redis: services.EmbeddedRedis, fault: Fault) -> None:
    """Two servers with all services share the work; what fires does not wait for Redis."""
    env = on_redis(redis)
    here, there = server(postgres_url, env=env), server(postgres_url, env=env)
    each, fifth = await make_automations(there.api_url, {"event": "{{ event.id }}"})
    async with sending(here.api_url, fault_event) as sender:
        for _ in range(ROUNDS):
            await sender.more()
            await asyncio.to_thread(fault, redis)
            await sender.more()  # it does not wait for Redis either
            await until_acted(postgres_url, len(sender.acknowledged), RECOVERY_SECONDS)
            await asyncio.to_thread(answered, redis)
            await sender.more()
            await until_acted(postgres_url, len(sender.acknowledged), RECOVERY_SECONDS)
    await assert_each_fired_once(postgres_url, sender, each, fifth)
    assert [await asyncio.to_thread(one.stop) for one in (here, there)] == [0, 0]


@pytest.mark.parametrize("broker", ["postgres", "redis"])
async def test_postgres_is_restarted(server: ServerFactory, redis: services.EmbeddedRedis, broker: str) -> None:
    """In the middle of taking in, evaluating and acting; whatever was not committed is done again."""
    env = {"PREFECT_MESSAGING_BROKER": broker, "PREFECT_REDIS_MESSAGING_URL": redis.url}
    with services.embedded_postgres() as cluster:
        url = cluster.url.replace("postgresql://", "postgresql+asyncpg://")
        servers: list[KernelServer] = [server(url, env=env), server(url, env=env)]
        each, fifth = await make_automations(servers[1].api_url, {"event": "{{ event.id }}"})
        async with sending(servers[0].api_url, fault_event) as sender:
            for _ in range(ROUNDS):
                await sender.more()
                await asyncio.to_thread(cluster.stop)
                await asyncio.sleep(1.0)
                await asyncio.to_thread(cluster.start)
                await sender.more()
                await until_acted(url, len(sender.acknowledged), RECOVERY_SECONDS)
        await assert_each_fired_once(url, sender, each, fifth)
        assert [await asyncio.to_thread(one.stop) for one in servers] == [0, 0]
