"""SIGKILL while task-run events come in: nothing that was acknowledged is lost, and nothing is half there.

`tox -e faults` runs this with 10,000 events and several kills; otherwise it is a smaller one.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import httpx
import pytest

from tests.support.fixtures import ServerFactory

from .support import Reporter, reports, select

FULL = os.environ.get("PREFECT_KERNEL_FAULTS") == "full"
EVENTS, KILLS = (10_000, 3) if FULL else (1_500, 1)
EVERY = 100
"""Events between two pings."""

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]


async def make_flow_runs(api_url: str, number: int) -> list[str]:
    """Flow runs to which the task runs belong."""
    async with httpx.AsyncClient(base_url=api_url) as client:
        flow = (await client.post("/flows/", json={"name": "fault"})).json()["id"]
        made = [await client.post("/flow_runs/", json={"flow_id": flow}) for _ in range(number)]
    return [answer.json()["id"] for answer in made]


async def assert_consistent(url: str, events: list[dict[str, Any]], acknowledged: int) -> set[str]:
    """What the database must hold after a kill, whenever it came; gives the ids of the stored events."""
    mine = {event["id"]: event for event in events}
    stored = {id for (id,) in await select(url, "SELECT id::text FROM events")} & set(mine)
    lost = [event["id"] for event in events[:acknowledged] if event["id"] not in stored]
    assert lost == []
    # An event, its resources, its state and its run are written together.
    resources = await select(url, "SELECT event_id::text, count(*) FROM event_resources GROUP BY event_id")
    assert dict.fromkeys(stored, 3) == {id: count for id, count in resources if id in mine}
    states = await select(url, "SELECT id::text, task_run_id::text, timestamp FROM task_run_state")
    assert stored == {id for id, _, _ in states}
    newest = {run: id for _, run, id in sorted((time, run, id) for id, run, time in states)}
    runs = await select(url, "SELECT id::text, state_id::text FROM task_run")
    assert newest == dict(runs)
    return stored


async def test_acknowledged_events_survive_sigkill(server: ServerFactory, database_url: str) -> None:
    """A client that pings every 100 events sends on while the server is killed at random, and resumes after each start.

    After each kill every event before the last pong is stored with its task run and state. In the end all events are
    there once, and every run is in its last state.
    """
    chance = random.Random(20260301)
    kernel = server(database_url)
    events = reports(await make_flow_runs(kernel.api_url, 5), EVENTS)
    client = Reporter(kernel.api_url, events, EVERY)
    # Never at the very end: there must be something left to be lost.
    moments = sorted(chance.sample(range(EVENTS // 10, EVENTS * 8 // 10), KILLS))
    in_flight = 0
    for moment in moments:
        sending = asyncio.create_task(client.send())
        async with asyncio.timeout(60), client.progress:
            await client.progress.wait_for(lambda moment=moment: client.acknowledged >= moment)  # type: ignore[misc]
        kernel.kill()
        assert await sending is False, "everything was acknowledged before the kill"
        in_flight += client.sent - client.acknowledged
        await assert_consistent(database_url, events, client.acknowledged)
        await asyncio.to_thread(kernel.restart)
    assert in_flight > 0
    async with asyncio.timeout(60):
        assert await client.send()
    assert len(await assert_consistent(database_url, events, EVENTS)) == EVENTS
    last: dict[str, str] = {}
    for event in events:
        last[event["resource"]["prefect.resource.id"].removeprefix("prefect.task-run.")] = event["id"]
    assert last == dict(await select(database_url, "SELECT id::text, state_id::text FROM task_run"))
    assert await asyncio.to_thread(kernel.stop) == 0
