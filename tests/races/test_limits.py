"""Workers that race for runs of a pool with a limit, whose queues have limits and priorities.

Asking claims nothing, so a worker may claim what it was given when others have got other runs meanwhile. What holds all
the same: while no run comes before those that were there (by the priority of its queue, then by its time), whoever
asks is given the first runs that fit, so all are given the same ones, and never are there more than the limits allow.
For that an answer has to come from one state of the database: from counts that are older than the runs, workers would
be given more. PREFECT_KERNEL_CLAIM_RUNS=5000 is the full size.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from conformance.bench.load import Connection
from tests.races.crowd import Crowd

WORKERS = 16
RUNS = int(os.environ.get("PREFECT_KERNEL_CLAIM_RUNS", "160"))
POOL_LIMIT = 7
QUEUES: list[tuple[str, int | None]] = [("urgent", 2), ("usual", 3), ("rest", None), ("opened", None), ("shut", 1)]
"""Their limits, by priority. `opened` is paused until the last run of `rest` is there, `shut` to the end."""
HELD = ["PENDING", "RUNNING"]
pytestmark = pytest.mark.timeout(120 + RUNS // 2)


@pytest.fixture(scope="module")
def crowd(make_crowd: Callable[[int], Crowd]) -> Crowd:
    """Two server processes on one database."""
    return make_crowd(2)


class Race:
    """A pool, its runs, and who has which."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.pool = f"limits-{uuid4()}"
        crowd.post("/work_pools/", {"name": self.pool, "type": "process", "concurrency_limit": POOL_LIMIT})
        self.ids: dict[str, str] = {}
        for priority, (name, limit) in enumerate(QUEUES, 1):
            body = {"name": name, "priority": priority, "concurrency_limit": limit}
            made = crowd.post(f"/work_pools/{self.pool}/queues", {**body, "is_paused": name in ("opened", "shut")})
            self.ids[name] = made["id"]
        self.flow_id = crowd.post("/flows/", {"name": self.pool})["id"]
        self.queue_of: dict[str, str] = {}
        self.held: dict[str, str] = {}
        """Runs that have a slot for sure, with their queues: claimed, and not told yet to be over."""
        self.most: Counter[str] = Counter()
        self.claims: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.start = datetime.now(UTC) - timedelta(days=1)
        self.begun, self.released = asyncio.Event(), asyncio.Event()

    def connection(self, number: int) -> Connection:
        """A connection to one of the servers, which take turns."""
        port = urlsplit(self.crowd.servers[number % len(self.crowd.servers)].api_url).port
        assert port is not None
        return Connection(port)

    # ------------------------------------------------------------ work
    async def make(self, connection: Connection, queue: str, count: int) -> None:
        """Make runs of a queue, each for a later time than those before."""
        for _ in range(count):
            at = (self.start + timedelta(seconds=len(self.queue_of))).isoformat()
            state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}}
            body = {"flow_id": self.flow_id, "work_pool_name": self.pool, "work_queue_name": queue, "state": state}
            self.queue_of[(await connection.json("POST", "/flow_runs/", body))["id"]] = queue

    async def release(self, connection: Connection) -> None:
        """More work comes while workers ask for it; then a queue is opened that comes after all others."""
        await self.begun.wait()
        await self.make(connection, "rest", RUNS // 4)
        await connection.call("PATCH", f"/work_pools/{self.pool}/queues/opened", {"is_paused": False})
        self.released.set()

    async def propose(self, connection: Connection, run_id: str, type: str) -> str:
        """The verdict on a state that is proposed for a run."""
        state = {"type": type, "state_details": {"transition_id": str(uuid4())}}
        answer = await connection.json("POST", f"/flow_runs/{run_id}/set_state", {"state": state})
        verdict: str = answer["status"]
        self.verdicts[f"{type} {verdict}"] += 1
        return verdict

    async def work(self, connection: Connection, number: int) -> None:
        """Claim what is there, run it, and ask again, until nothing is there and no more will come."""
        order = Random(number)
        while True:
            no_more = self.released.is_set() and not self.held
            body = {"limit": 8}
            found = await connection.json("POST", f"/work_pools/{self.pool}/get_scheduled_flow_runs", body)
            if not found and no_more:
                return
            mine = []
            for one in order.sample(found, len(found)):
                run_id = one["flow_run"]["id"]
                if await self.propose(connection, run_id, "PENDING") == "ACCEPT":
                    self.claims[run_id] += 1
                    self.begun.set()
                    self.held[run_id] = self.queue_of[run_id]
                    self.count(Counter(self.held.values()))
                    mine.append(run_id)
            for type in ("RUNNING", "COMPLETED"):
                for run_id in mine:
                    if type == "COMPLETED":
                        del self.held[run_id]
                    assert await self.propose(connection, run_id, type) == "ACCEPT"

    # ------------------------------------------------------------ what is seen
    def count(self, held: Counter[str]) -> None:
        """Keep the most that ever had slots at the same time."""
        self.most |= held
        self.most |= Counter({"pool": held.total()})

    async def watch(self) -> None:
        """Count what the database says, again and again."""
        names = {id: name for name, id in self.ids.items()}
        where: dict[str, Any] = {"flow_id": self.flow_id, "state_type": HELD}
        while not (self.released.is_set() and len(self.claims) == len(self.queue_of)):
            rows = await asyncio.to_thread(self.crowd.database.select, "flow_run", where, None, ["work_queue_id"])
            self.count(Counter(names[row["work_queue_id"]] for row in rows))

    async def run(self) -> None:
        """All of it at the same time."""
        connections = [self.connection(number) for number in range(WORKERS + 1)]
        try:
            for queue, share in (("urgent", 4), ("usual", 4), ("rest", 8), ("opened", 8)):
                await self.make(connections[-1], queue, RUNS // share)
            await self.make(connections[-1], "shut", 3)
            for id in [id for id, queue in self.queue_of.items() if queue == "shut"]:
                del self.queue_of[id]
            workers = [self.work(connection, number) for number, connection in enumerate(connections[:-1])]
            await asyncio.gather(self.release(connections[-1]), self.watch(), *workers)
            assert [connection.failed for connection in connections] == [0] * len(connections)
        finally:
            for connection in connections:
                connection.close()


def test_no_limit_is_ever_exceeded(crowd: Crowd) -> None:
    """Sixteen workers at two servers: never too many, none twice, none left but those of the queue that is paused."""
    race = Race(crowd)
    asyncio.run(race.run())
    assert race.most["pool"] == POOL_LIMIT
    assert {name: race.most[name] for name in ("urgent", "usual", "shut")} == {"urgent": 2, "usual": 3, "shut": 0}
    assert set(race.claims) == set(race.queue_of)
    assert set(race.claims.values()) == {1}
    assert set(race.verdicts) <= {"PENDING ACCEPT", "PENDING ABORT", "RUNNING ACCEPT", "COMPLETED ACCEPT"}
    assert race.verdicts["PENDING ABORT"] > 0, "the workers did not race"
    states = Counter(run["state_type"] for run in crowd.database.select("flow_run", {"flow_id": race.flow_id}))
    assert states == {"COMPLETED": len(race.queue_of), "SCHEDULED": 3}
