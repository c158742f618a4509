"""What a worker's poll gives, and what it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest
from tests.plugins.work_pools.support import change, names, poll, pool, post, queue, read, run


def test_order_and_limits(kernel: KernelUnderTest) -> None:
    """By priority of the queue, then by time; no more than queue and pool have room for."""
    pool(kernel)
    queue(kernel, "first", priority=1)
    queue(kernel, "last", priority=9)
    for where, at, name in (("last", -50, "e"), ("default", -40, "d"), ("first", -10, "b"), ("default", -60, "c"),
                            ("first", 500, "z"), ("first", -20, "a")):  # fmt: skip
        run(kernel, where, at, name)
    now = kernel.clock.now().isoformat()
    assert poll(kernel) == list("abzcde")
    assert poll(kernel, scheduled_before=now) == list("abcde")
    assert poll(kernel, scheduled_before=now, limit=3) == list("abc")
    assert poll(kernel, "last", "default") == list("cde")
    assert poll(kernel, "last") == ["e"]
    change(kernel, "/work_pools/pool/queues/first", concurrency_limit=1)
    assert poll(kernel) == list("acde")
    change(kernel, "/work_pools/pool", concurrency_limit=2)
    assert poll(kernel) == list("ac")
    claimed = post(kernel, "/work_pools/pool/get_scheduled_flow_runs", {"limit": 1})[0]["flow_run"]["id"]
    assert kernel.propose(claimed, "Pending").status == "ACCEPT"
    assert poll(kernel) == ["c"]
    assert read(kernel, "/work_pools/pool")["active_slots"] == 1
    change(kernel, "/work_pools/pool/queues/default", is_paused=True)
    assert poll(kernel) == ["e"]
    change(kernel, "/work_pools/pool", is_paused=True)
    assert poll(kernel) == []


def test_missing_names(kernel: KernelUnderTest) -> None:
    """The first queue that is not there is named, and nothing is written."""
    pool(kernel)
    path = "/work_pools/pool/get_scheduled_flow_runs"
    body = {"work_queue_names": ["default", "x", "y"]}
    assert post(kernel, path, body, 404)["detail"] == "Work pool queue 'pool/x' not found."
    assert read(kernel, "/work_pools/pool/queues/default")["last_polled"] is None
    missing = post(kernel, path.replace("pool/", "none/", 1).replace("work_none/", "work_pools/"), {}, 404)
    assert missing["detail"] == 'Work pool "none" not found.'


@pytest.mark.parametrize("seed", range(4))
def test_against_a_model(kernel: KernelUnderTest, seed: int) -> None:
    """Random pools, runs and limits: the same runs as sorting and counting in Python gives."""
    rng = Random(seed)
    pool(kernel)
    queues = {"default": 1}
    for name in "abcd"[: rng.randrange(5)]:
        queue(kernel, name)
        queues[name] = len(queues) + 1
    runs: list[tuple[int, float, str]] = []
    for n in range(25):
        where, at = rng.choice(sorted(queues)), rng.sample(range(-1000, 1000), 1)[0] + n / 100
        run(kernel, where, at, f"r{n}")
        runs.append((queues[where], at, f"r{n}"))
    for _ in range(12):
        limits: dict[int, int | None] = {number: rng.choice([None, None, 0, 1, 3]) for number in queues.values()}
        pool_limit, before = rng.choice([None, 0, 2, 5, 100]), rng.choice([None, 0, 500])
        for name, number in queues.items():
            change(kernel, f"/work_pools/pool/queues/{name}", concurrency_limit=limits[number])
        change(kernel, "/work_pools/pool", concurrency_limit=pool_limit)
        asked = rng.sample(sorted(queues), rng.randrange(1, len(queues) + 1)) if rng.random() < 0.6 else []
        limit = rng.choice([1, 4, 50])
        expected: list[str] = []
        for number in sorted(queues[name] for name in asked or queues):
            mine = [r for r in sorted(runs) if r[0] == number and (before is None or r[1] <= before)]
            room = limits[number]
            expected += [name for _, _, name in (mine if room is None else mine[:room])]
        most = limit if pool_limit is None else min(limit, pool_limit)
        until = {} if before is None else {
            "scheduled_before": (kernel.clock.now() + timedelta(seconds=before)).isoformat()
        }  # fmt: skip
        assert poll(kernel, *asked, limit=limit, **until) == expected[:most]


@contextmanager
def writes(kernel: KernelUnderTest) -> Iterator[list[str]]:
    """The names of the units that write meanwhile."""
    seen: list[str] = []
    storage: Any = kernel.kernel.storage
    write = storage.write

    async def counting(unit: Any, /, *args: Any, **kwargs: Any) -> Any:
        seen.append(unit.__name__)
        return await write(unit, *args, **kwargs)

    storage.write = counting
    try:
        yield seen
    finally:
        storage.write = write


def test_polls_write_what_must_change(kernel: KernelUnderTest) -> None:
    """Once a status, and the time again after half of what is tolerated: sixty-four polls are one write."""
    pool(kernel)
    queue(kernel, "paused")
    change(kernel, "/work_pools/pool/queues/paused", is_paused=True)
    before = len(names(kernel))
    with writes(kernel) as seen:
        for _ in range(64):
            poll(kernel)
    assert seen == ["mark"]
    assert names(kernel, before) == ["work-queue.ready"]
    polled = read(kernel, "/work_pools/pool/queues/paused")
    assert (polled["status"], polled["last_polled"]) == ("PAUSED", "2030-01-01T12:00:00Z")
    with writes(kernel) as seen:
        kernel.clock.advance(seconds=29)
        poll(kernel)
        assert seen == []
        kernel.clock.advance(seconds=2)
        poll(kernel)
        poll(kernel)
    assert seen == ["mark"]
    assert read(kernel, "/work_pools/pool/queues/default")["last_polled"] == "2030-01-01T12:00:31Z"
    assert names(kernel, before) == ["work-queue.ready"]


@pytest.mark.parametrize("end", ["Completed", "Failed", "Crashed"])
def test_a_claim_that_comes_too_late(kernel: KernelUnderTest, end: str) -> None:
    """A worker that was given a run before another one ran it to its end is told to stop; its launching is not."""
    pool(kernel)
    mine = run(kernel, "default", -1, "a")["id"]
    for state in ("Pending", "Running", end):
        assert kernel.propose(mine, state).status == "ACCEPT"
    late = kernel.propose(mine, "Pending")
    assert late.status == "ABORT"
    assert late.reason == f"This run was claimed by another worker and has ended: it is {end}."
    launching = {"state": {"type": "PENDING", "name": "Submitting"}}
    assert post(kernel, f"/flow_runs/{mine}/set_state", launching, 201)["status"] == "ACCEPT"


def test_a_claim_of_a_run_that_its_process_retries(kernel: KernelUnderTest) -> None:
    """Workers are not given such a run, so who claims it was given it before; the process goes on with it."""
    pool(kernel)
    policy = {"retries": 1, "retry_delay": 0}
    body = {"work_pool_name": "pool", "work_queue_name": "default", "empirical_policy": policy}
    mine = kernel.flow_run(**body, state={"type": "SCHEDULED"})["id"]
    for state, verdict in (("Pending", "ACCEPT"), ("Running", "ACCEPT"), ("Failed", "REJECT"), ("Pending", "ABORT")):
        assert kernel.propose(mine, state).status == verdict
    assert kernel.propose(mine, "Running").status == "ACCEPT"


def test_agents_ask_a_queue(kernel: KernelUnderTest) -> None:
    """By its id: CANCELLING runs count too, and the UI's asking is no poll."""
    pool(kernel)
    made = queue(kernel, "q", concurrency_limit=2)
    path = f"/work_queues/{made['id']}"
    runs = [run(kernel, "q", at, f"r{at}") for at in (-3, -1, -2)]
    answer = kernel.client.post(f"{path}/get_runs", json={}, headers={"x-prefect-ui": "true"})
    assert [one["name"] for one in answer.json()] == ["r-3", "r-2"]
    assert read(kernel, path)["last_polled"] is None
    assert len(post(kernel, f"{path}/get_runs")) == 2
    assert read(kernel, path)["status"] == "READY"
    for state in ("Pending", "Running", "Cancelling"):
        assert kernel.propose(runs[0]["id"], state).status == "ACCEPT"
        assert [one["name"] for one in post(kernel, f"{path}/get_runs")] == ["r-2"]
    assert read(kernel, path)["active_slots"] == 1
    assert read(kernel, "/work_pools/pool/queues/q")["active_slots"] == 0
    assert post(kernel, f"{path}/concurrency_status")["active_slots"] == 1
    assert post(kernel, "/work_pools/pool/concurrency_status")["active_slots"] == 0
    assert read(kernel, f"{path}/status")["healthy"]
