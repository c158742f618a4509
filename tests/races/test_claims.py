"""Workers that race for the scheduled runs of a pool, as real ones do: by polls, and by proposing PENDING.

PREFECT_KERNEL_CLAIM_RUNS=5000 is the full size.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from conformance.bench.load import Connection
from tests.races.crowd import Crowd

WORKERS = 16
TOO_LATE = 3
"""After so many runs that others have got, a worker looks for what is left."""
RUNS = int(os.environ.get("PREFECT_KERNEL_CLAIM_RUNS", "64"))
pytestmark = pytest.mark.timeout(120 + RUNS // 2)


def together(crowd: Crowd, work: Callable[[Connection, int], Awaitable[None]]) -> None:
    """Let the workers work at the same time, each on a connection of its own that costs next to nothing."""
    port = urlsplit(crowd.servers[0].api_url).port
    assert port is not None

    async def one(number: int) -> None:
        connection = Connection(port)
        try:
            await work(connection, number)
        finally:
            connection.close()
        assert connection.failed == 0

    async def run() -> None:
        await asyncio.gather(*map(one, range(WORKERS)))

    asyncio.run(run())


def test_no_run_is_claimed_twice_and_none_is_left(crowd: Crowd) -> None:
    """Sixteen workers poll two queues of a pool until nothing comes any more: each run has gone to one of them."""
    pool = f"claims-{uuid4()}"
    crowd.post("/work_pools/", {"name": pool, "type": "process"})
    crowd.post(f"/work_pools/{pool}/queues", {"name": "urgent", "priority": 1})
    flow_id = crowd.post("/flows/", {"name": pool})["id"]
    start = datetime.now(UTC) - timedelta(seconds=RUNS + 60)
    expected: set[str] = set()
    claims: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()

    def scheduled(number: int) -> dict[str, object]:
        at = (start + timedelta(seconds=number)).isoformat()
        queue = "urgent" if number % 4 == 0 else "default"
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}}
        return {"flow_id": flow_id, "work_pool_name": pool, "work_queue_name": queue, "state": state}

    async def make(connection: Connection, first: int) -> None:
        for number in range(first, RUNS, WORKERS):
            expected.add((await connection.json("POST", "/flow_runs/", scheduled(number)))["id"])

    async def beat(connection: Connection, number: int) -> None:
        await connection.call("POST", f"/work_pools/{pool}/workers/heartbeat", {"name": f"worker {number}"})

    async def work(connection: Connection, number: int) -> None:
        await beat(connection, number)
        body = {"scheduled_before": datetime.now(UTC).isoformat(), "limit": 8}
        order = Random(number)  # as workers do, which submit what they got at the same time
        while found := await connection.json("POST", f"/work_pools/{pool}/get_scheduled_flow_runs", body):
            late = 0
            for one in order.sample(found, len(found)):
                run_id = one["flow_run"]["id"]
                state = {"type": "PENDING", "state_details": {"transition_id": str(uuid4())}}
                answer = await connection.json("POST", f"/flow_runs/{run_id}/set_state", {"state": state})
                verdicts[answer["status"]] += 1
                if answer["status"] == "ACCEPT":
                    claims[run_id] += 1
                elif (late := late + 1) == TOO_LATE:
                    break
        await beat(connection, number)  # of full size, the race may take longer than a worker may be silent

    together(crowd, make)
    together(crowd, work)
    assert set(claims) == expected
    assert set(claims.values()) == {1}
    assert set(verdicts) <= {"ACCEPT", "ABORT"}
    assert verdicts["ABORT"] > 0, "the workers did not race"
    read = crowd.get(f"/work_pools/{pool}")
    assert read["status"] == "READY"
    states = Counter(run["state_type"] for run in crowd.database.select("flow_run", {"flow_id": flow_id}))
    assert states == {"PENDING": RUNS}
