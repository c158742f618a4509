"""SIGKILL and SIGTERM while clients create, transition, log and send events: what was acknowledged is there.

`tox -e faults` kills twenty times; otherwise these are smaller.
"""

from __future__ import annotations

import asyncio
import os
import random

import httpx
import pytest

from tests.support.fixtures import ServerFactory

from .crowd import Crowd, assert_nothing_lost, make_flow, until, working
from .support import Reporter, reports, select

FULL = os.environ.get("PREFECT_KERNEL_FAULTS") == "full"
KILLS = 20 if FULL else 2
EVENTS = 30_000 if FULL else 3000
EVERY = 50

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(900 if FULL else 180)]


async def until_acknowledged(crowd: Crowd, number: int) -> None:
    """Return when so many further writes were acknowledged; the crowd must get on."""
    wanted = crowd.acknowledged + number
    await until(lambda: crowd.acknowledged >= wanted)


async def assert_events_there(url: str, reporter: Reporter, ids: list[str]) -> None:
    """Every event before the last pong is stored."""
    stored = {id for (id,) in await select(url, "SELECT id::text FROM events")}
    assert not set(ids[: reporter.acknowledged]) - stored, "events of clients are lost"


async def test_killed_again_and_again(server: ServerFactory, database_url: str) -> None:
    """After each SIGKILL everything that was acknowledged is there when the server answers again."""
    chance = random.Random(20260302)
    kernel = server(database_url)
    crowd = Crowd(kernel.api_url, await make_flow(kernel.api_url))
    async with httpx.AsyncClient(base_url=kernel.api_url) as client:
        made = (await client.post("/flow_runs/", json={"flow_id": crowd.flow_id})).json()["id"]
    events = reports([made], EVENTS)
    reporter = Reporter(kernel.api_url, events, EVERY)
    ids = [event["id"] for event in events]
    async with working(crowd):
        for _ in range(KILLS):
            sending = asyncio.create_task(reporter.send())
            await until_acknowledged(crowd, chance.randrange(20, 120))
            kernel.kill()
            await sending
            await asyncio.to_thread(kernel.restart)
            await assert_events_there(database_url, reporter, ids)
            # The clients go on already: only what they have been told until now can be asked for.
            await assert_runs_there(database_url, crowd)
        await until_acknowledged(crowd, 20)
    assert crowd.unexpected == [], kernel.log()[-6000:]
    assert reporter.acknowledged > 0
    await assert_nothing_lost(database_url, crowd)
    assert await asyncio.to_thread(kernel.stop) == 0


async def assert_runs_there(url: str, crowd: Crowd) -> None:
    """Runs and states that are acknowledged by now are stored."""
    runs, states, logs = set(crowd.runs), set(crowd.states), set(crowd.logs)
    assert not runs - {id for (id,) in await select(url, "SELECT id::text FROM flow_run")}
    assert not states - {id for (id,) in await select(url, "SELECT id::text FROM flow_run_state")}
    assert not logs - {message for (message,) in await select(url, "SELECT message FROM log")}


async def test_sigterm_under_load(server: ServerFactory, database_url: str) -> None:
    """SIGTERM ends the server in good order while clients work: nothing acknowledged is lost, no request fails half."""
    kernel = server(database_url)
    crowd = Crowd(kernel.api_url, await make_flow(kernel.api_url), clients=8)
    async with httpx.AsyncClient(base_url=kernel.api_url) as client:
        made = (await client.post("/flow_runs/", json={"flow_id": crowd.flow_id})).json()["id"]
    events = reports([made], 3000)
    reporter = Reporter(kernel.api_url, events, EVERY)
    async with working(crowd):
        sending = asyncio.create_task(reporter.send())
        await until_acknowledged(crowd, 60)
        assert await asyncio.to_thread(kernel.stop) == 0
        await sending
        crowd.stop()
    assert crowd.unexpected == [], kernel.log()[-6000:]
    await assert_nothing_lost(database_url, crowd)
    await assert_events_there(database_url, reporter, [event["id"] for event in events])
    kernel.restart()
    await assert_nothing_lost(database_url, crowd)
