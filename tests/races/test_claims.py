"""Workers that race for the scheduled runs of a pool, as real ones do: by polls, and by proposing PENDING.

PREFECT_KERNEL_CLAIM_RUNS=5000 is the full size.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

import httpx
import pytest

from tests.races.crowd import CLIENTS, Crowd

WORKERS = 16
RUNS = int(os.environ.get("PREFECT_KERNEL_CLAIM_RUNS", "64"))
pytestmark = pytest.mark.timeout(120 + RUNS // 4)


def test_no_run_is_claimed_twice_and_none_is_left(crowd: Crowd) -> None:
    """Sixteen workers poll two queues of a pool until nothing comes any more: each run has gone to one of them."""
    pool = f"claims-{uuid4()}"
    crowd.post("/work_pools/", {"name": pool, "type": "process"})
    crowd.post(f"/work_pools/{pool}/queues", {"name": "urgent", "priority": 1})
    flow_id = crowd.post("/flows/", {"name": pool})["id"]
    start = datetime.now(UTC) - timedelta(hours=1)

    def scheduled(number: int) -> dict[str, object]:
        at = (start + timedelta(seconds=number)).isoformat()
        queue = "urgent" if number % 4 == 0 else "default"
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}}
        return {"flow_id": flow_id, "work_pool_name": pool, "work_queue_name": queue, "state": state}

    expected = set()
    for first in range(0, RUNS, CLIENTS):
        numbers = range(first, min(first + CLIENTS, RUNS))
        made = crowd.rush(*(("POST", "/flow_runs/", scheduled(number)) for number in numbers))
        expected |= {answer.json()["id"] for answer in made}
    claims: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()

    async def work(client: httpx.AsyncClient, number: int) -> None:
        heartbeat = await client.post(f"/work_pools/{pool}/workers/heartbeat", json={"name": f"worker {number}"})
        assert heartbeat.status_code == 204
        body = {"scheduled_before": datetime.now(UTC).isoformat(), "limit": 8}
        order = Random(number)  # as workers do, which submit what they got at the same time
        while True:
            found = await client.post(f"/work_pools/{pool}/get_scheduled_flow_runs", json=body)
            assert found.status_code == 200, found.text
            if not found.json():
                return
            for one in order.sample(found.json(), len(found.json())):
                run_id = one["flow_run"]["id"]
                state = {"type": "PENDING", "state_details": {"transition_id": str(uuid4())}}
                answer = await client.post(f"/flow_runs/{run_id}/set_state", json={"state": state})
                assert answer.status_code in (200, 201), answer.text
                verdict = answer.json()["status"]
                verdicts[verdict] += 1
                if verdict == "ACCEPT":
                    claims[run_id] += 1

    crowd.together(WORKERS, work)
    assert set(claims) == expected
    assert set(claims.values()) == {1}
    assert set(verdicts) <= {"ACCEPT", "ABORT"}
    assert verdicts["ABORT"] > 0, "the workers did not race"
    read = crowd.get(f"/work_pools/{pool}")
    assert read["status"] == "READY"
    states = Counter(run["state_type"] for run in crowd.database.select("flow_run", {"flow_id": flow_id}))
    assert states == {"PENDING": RUNS}
