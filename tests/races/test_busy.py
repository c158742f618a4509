"""What clients hear from a server that cannot keep up."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing

import httpx

from tests.races.crowd import CLIENTS, Crowd, crowd_at
from tests.support.fixtures import ServerFactory


def test_a_full_queue_of_writes_is_answered_with_503(server: ServerFactory, sqlite_url: str) -> None:
    """When more writes wait than may, clients hear 503 and when to come back; those that wait are carried out."""
    allowed = 2
    with crowd_at(server(sqlite_url, env={"PREFECT_KERNEL_WRITE_QUEUE_SIZE": str(allowed)})) as crowd:
        answers = asyncio.run(_while_locked(crowd, sqlite_url.partition(":///")[2], CLIENTS - allowed))
        given = Counter(answer.status_code for answer in answers)
        assert set(given) == {201, 503}
        assert given[503] >= CLIENTS - allowed
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.text for answer in refused} == {'{"exception_message":"Service Unavailable"}'}
        assert all(float(answer.headers["retry-after"]) > 0 for answer in refused)
        assert len(crowd.database.select("flow", {})) == given[201]


async def _while_locked(crowd: Crowd, path: str, count: int) -> list[httpx.Response]:
    """The answers to as many creates as there are clients, none of which can be stored until `count` were answered."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with crowd.client(CLIENTS) as client:
            requests = [asyncio.create_task(client.post("/flows/", json={"name": f"flow {n}"})) for n in range(CLIENTS)]
            done: set[asyncio.Task[httpx.Response]] = set()
            while len(done) < count:
                more, _ = await asyncio.wait(set(requests) - done, return_when=asyncio.FIRST_COMPLETED)
                done |= more
            other.execute("COMMIT")
            return await asyncio.gather(*requests)


def test_a_crowd_on_the_default_settings_is_never_refused(server: ServerFactory, database_url: str) -> None:
    """64 clients that write without a pause get no error on either database."""
    with crowd_at(server(database_url)) as crowd:
        flow = crowd.flow()
        seen: Counter[int] = Counter()

        async def live(client: httpx.AsyncClient, number: int) -> None:
            for _ in range(3):
                made = await client.post("/flow_runs/", json={"flow_id": flow, "state": {"type": "SCHEDULED"}})
                seen[made.status_code] += 1
                for type in ("PENDING", "RUNNING", "COMPLETED"):
                    path = f"/flow_runs/{made.json()['id']}/set_state"
                    answer = await client.post(path, json={"state": {"type": type}})
                    seen[answer.status_code] += 1

        crowd.together(CLIENTS, live)
        assert seen == {201: CLIENTS * 12}
        assert len(crowd.database.select("flow_run", {"state_type": "COMPLETED"})) == CLIENTS * 3
        states = crowd.database.select("flow_run_state", {}, columns=["name"])
        # On a crowded machine runs wait until they are late, as the service says that is part of the default settings.
        assert len([state for state in states if state["name"] != "Late"]) == CLIENTS * 12
