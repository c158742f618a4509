"""Two server processes on one PostgreSQL database share the work: everything fires once, and is done once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from prefect_kernel.ids import uuid4
from tests.faults.support import select
from tests.support.fixtures import ServerFactory

EVENTS = 200
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


def events() -> list[dict[str, Any]]:
    """Events of which every second one belongs to the second part of a sequence."""
    now = datetime.now(UTC).isoformat()
    return [
        {"id": uuid4(), "occurred": now, "event": f"two.{'ab'[n % 2]}", "resource": {"prefect.resource.id": f"r.{n}"}}
        for n in range(EVENTS)
    ]


async def test_each_event_fires_once(server: ServerFactory, postgres_url: str) -> None:
    """Whichever server takes it in, sees it and acts."""
    first = server(postgres_url)
    urls = [first.api_url, server(postgres_url).api_url]
    each = {"type": "event", "posture": "Reactive", "expect": ["two.*"]}
    parts = [{**each, "expect": [name]} for name in ("two.a", "two.b")]
    compound = {"type": "compound", "require": "all", "within": 3600, "triggers": parts}
    async with httpx.AsyncClient(timeout=60) as client:
        for name, trigger in (("each", each), ("pairs", compound)):
            action = {"type": "do-nothing"}
            body = {"name": name, "trigger": trigger, "actions": [action]}
            assert (await client.post(f"{urls[0]}/automations/", json=body)).status_code == 201
        sent = events()
        # Each batch goes to both servers, which is how a client that got no answer sends again.
        for at in range(0, EVENTS, 20):
            batch = sent[at : at + 20]
            answers = await asyncio.gather(*(client.post(f"{url}/events", json=batch) for url in urls))
            assert [answer.status_code for answer in answers] == [204, 204]
    statuses = "SELECT status, count(*) FROM kernel_automation_action GROUP BY status"
    while dict(await select(postgres_url, statuses)) != {"done": EVENTS + EVENTS // 2}:  # noqa: ASYNC110 - other processes
        await asyncio.sleep(0.3)
    rows = await select(postgres_url, "SELECT automation, firing FROM kernel_automation_firing")
    fired = [(json.loads(automation)["name"], json.loads(firing)) for automation, firing in rows]
    assert Counter(one["triggering_event"]["id"] for name, one in fired if name == "each") == Counter(
        event["id"] for event in sent
    )
    pairs = [one for name, one in fired if name == "pairs"]
    assert len(pairs) == EVENTS // 2
    used = Counter(part["triggering_event"]["id"] for one in pairs for part in one["triggering_firings"])
    assert used == Counter(event["id"] for event in sent)
