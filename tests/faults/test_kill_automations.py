"""SIGKILL while events come in and automations fire: no firing is missed, none doubled, each action is done.

`tox -e faults` kills 50 times; otherwise it is a few.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefect_kernel.ids import uuid4
from tests.support.fixtures import ServerFactory

from .automations import THRESHOLD, make_automations
from .support import Reporter, select

FULL = os.environ.get("PREFECT_KERNEL_FAULTS") == "full"
EVENTS, KILLS = (2_000, 50) if FULL else (240, 4)
EVERY = 5
"""Events between two pings."""

KEYS = 4

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(900 if FULL else 240)]


def sent_events() -> list[dict[str, Any]]:
    """Events of a few resources in turn; of times to come, so that what was counted is kept for long enough."""
    began = datetime.now(UTC) + timedelta(hours=1)
    return [
        {
            "id": uuid4(),
            "occurred": (began + timedelta(milliseconds=number)).isoformat(),
            "event": "fault.made",
            "resource": {"prefect.resource.id": f"fault.{number % KEYS}"},
            "payload": {"number": number},
        }
        for number in range(EVENTS)
    ]


async def until_all_is_done(url: str, expected: int) -> None:
    """Wait until so many actions are there and none is left to be done; those of the dead are waited for as well."""
    query = "SELECT status, count(*) FROM kernel_automation_action GROUP BY status"
    async with asyncio.timeout(150):
        while (found := dict(await select(url, query))) != {"done": expected}:
            assert set(found) <= {"done", "pending"}, found
            await asyncio.sleep(0.5)


async def test_automations_survive_sigkill(server: ServerFactory, database_url: str) -> None:
    """A client sends on while the server is killed at random: at the end everything has fired and was done, once."""
    chance = random.Random(20260302)
    kernel = server(database_url)
    each, fifth = await make_automations(
        kernel.api_url, {"n": "{{ event.payload.number }}"}, for_each=["prefect.resource.id"]
    )
    events = sent_events()
    client = Reporter(kernel.api_url, events, EVERY)
    for moment in sorted(chance.sample(range(EVERY, EVENTS - EVENTS // 20), KILLS)):
        sending = asyncio.create_task(client.send())
        async with asyncio.timeout(60), client.progress:
            await client.progress.wait_for(lambda moment=moment: client.acknowledged >= moment)  # type: ignore[misc]
        await asyncio.sleep(chance.choice((0.0, 0.05, 0.3)))  # while events come in, fire, and are acted upon
        kernel.kill()
        await sending
        await asyncio.to_thread(kernel.restart)
    async with asyncio.timeout(60):
        while not await client.send():
            pass
    expected = EVENTS + EVENTS // THRESHOLD
    await until_all_is_done(database_url, expected)

    rows = await select(database_url, "SELECT automation_id::text, firing FROM kernel_automation_firing")
    fired = [(automation, json.loads(firing)) for automation, firing in rows]
    ids = Counter(firing["triggering_event"]["id"] for automation, firing in fired if automation == each)
    assert ids == Counter(event["id"] for event in events)
    labels = [firing["triggering_labels"] for automation, firing in fired if automation == fifth]
    keys = Counter(one["prefect.resource.id"] for one in labels)
    assert keys == {f"fault.{key}": EVENTS // KEYS // THRESHOLD for key in range(KEYS)}
    made = await select(database_url, "SELECT parameters::text FROM flow_run")
    runs = Counter(str(json.loads(text)["n"]) for (text,) in made)
    assert runs == Counter(str(number) for number in range(EVENTS))
    assert await asyncio.to_thread(kernel.stop) == 0
    told = {"triggered": expected, "action.triggered": expected, "action.executed": expected}
    counts = dict(await select(database_url, "SELECT event, count(*) FROM events GROUP BY event"))
    assert {name: counts.get(f"prefect.automation.{name}") for name in told} == told
