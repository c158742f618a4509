"""Which background task is handed out next, and that no two workers get the same."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.task_runs import queues as module
from prefect_kernel_plugins.task_runs.claims import EXPIRY, task_claim
from prefect_kernel_plugins.task_runs.queues import LOOK_AGAIN, QUEUES, TaskQueues


def queues_of(kernel: KernelUnderTest) -> TaskQueues:
    """The kernel's queues."""
    return kernel.kernel.stash[QUEUES]


def defer(kernel: KernelUnderTest, key: str = "hello", dynamic: str = "0", **fields: Any) -> str:
    """Create a deferred task run, as `task.delay()` does; its id."""
    state = {"type": "SCHEDULED", "state_details": {"deferred": True}}
    body = {"flow_run_id": None, "task_key": key, "dynamic_key": dynamic, "state": state, **fields}
    answer = kernel.client.post("/task_runs/", json=body)
    assert answer.status == 201, answer.text
    made: str = answer.json()["id"]
    return made


def taken(kernel: KernelUnderTest, *keys: str) -> list[str]:
    """Everything that the queues hand out now, in order."""
    queues = queues_of(kernel)
    found: list[str] = []
    while (one := queues.take(list(keys))) is not None:
        found.append(one[1])
    return found


def claim(kernel: KernelUnderTest, run: str) -> str | None:
    """Claim a run; the token of the claim."""
    found = kernel.run(queues_of(kernel).claim(run))
    return None if found is None else found[0]


def claims(kernel: KernelUnderTest) -> list[str]:
    """The runs on which there are claims."""

    def unit() -> Unit[list[Any]]:
        return (yield Statement(sa.select(task_claim.c.task_run_id))())

    return [row[0] for row in kernel.run(kernel.kernel.storage.read(unit))]


def test_created_runs_are_queued_in_order(kernel: KernelUnderTest) -> None:
    """Deferred runs wait under their task key in the order of their creation; keys are asked in the worker's order."""
    first, other, second = defer(kernel, "a", "0"), defer(kernel, "b", "0"), defer(kernel, "a", "1")
    assert taken(kernel, "c") == []
    assert taken(kernel, "b", "a") == [other, first, second]


def test_only_deferred_runs_are_queued(kernel: KernelUnderTest) -> None:
    """Other scheduled task runs are nobody's background tasks."""
    defer(kernel, state={"type": "SCHEDULED"})
    defer(kernel, dynamic="1", state={"type": "PENDING", "state_details": {"deferred": True}})
    assert taken(kernel, "hello") == []
    kernel.run(queues_of(kernel).fill(["hello"]))
    assert taken(kernel, "hello") == []


def test_the_same_creation_again_queues_nothing(kernel: KernelUnderTest) -> None:
    """A repeated POST /task_runs/ answers the run that is there, which waits once."""
    run = defer(kernel)
    state = {"type": "SCHEDULED", "state_details": {"deferred": True}}
    body = {"flow_run_id": None, "task_key": "hello", "dynamic_key": "0", "state": state}
    assert kernel.client.post("/task_runs/", json=body).status == 200
    assert taken(kernel, "hello") == [run]


def test_set_state_queues_too_and_retries_go_first(kernel: KernelUnderTest) -> None:
    """A run that is scheduled by set_state is queued; one that awaits its retry goes before those that are new."""
    new, again = defer(kernel, dynamic="0"), defer(kernel, dynamic="1", state={"type": "PENDING"})
    states = f"/task_runs/{again}/set_state"
    scheduled = {"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": {"deferred": True}}
    answer = kernel.client.post(states, json={"state": scheduled, "force": True})
    assert answer.json()["status"] == "ACCEPT", answer.text
    assert taken(kernel, "hello") == [again, new]


def test_a_start_finds_what_waits(make_kernel: MakeKernel, database_url: str) -> None:
    """After a restart the queues are filled from the database: what waits, and not what has begun or ended."""
    kernel = make_kernel(storage=database_url)
    waiting, begun, cancelled = (defer(kernel, dynamic=str(n)) for n in range(3))
    for run, state in ((begun, "PENDING"), (cancelled, "CANCELLED")):
        body = {"state": {"type": state}, "force": True}
        assert kernel.client.post(f"/task_runs/{run}/set_state", json=body).json()["status"] == "ACCEPT"
    kernel.run(kernel.kernel.close())
    again = make_kernel(storage=database_url)
    assert taken(again, "hello") == []
    again.run(queues_of(again).fill(["other", "hello"]))
    assert taken(again, "hello") == [waiting]


def test_runs_are_found_that_another_server_took_in(make_kernel: MakeKernel, database_url: str) -> None:
    """A queue that is empty is filled again, about once a second."""
    here, there = make_kernel(storage=database_url), make_kernel(storage=database_url)
    here.run(queues_of(here).fill(["hello"]))
    run = defer(there)
    here.run(queues_of(here).fill(["hello"]))
    assert taken(here, "hello") == []
    here.clock.advance(seconds=LOOK_AGAIN.total_seconds())
    here.run(queues_of(here).fill(["hello"]))
    assert taken(here, "hello") == [run]


def test_a_full_queue_loses_nothing(make_kernel: MakeKernel, database_url: str) -> None:
    """Runs beyond the queue's limit wait in the database, and are handed out when there is room again."""
    prefix = "PREFECT_SERVER_TASKS_SCHEDULING_MAX"
    settings = {f"{prefix}_SCHEDULED_QUEUE_SIZE": 2, f"{prefix}_RETRY_QUEUE_SIZE": 1}
    kernel = make_kernel(storage=database_url, settings=settings)
    runs = [defer(kernel, dynamic=str(n)) for n in range(8)]
    handed: list[str] = []
    for _ in range(4):
        kernel.run(queues_of(kernel).fill(["hello"]))
        for run in taken(kernel, "hello"):
            state = claim(kernel, run)
            assert state is not None
            kernel.run(queues_of(kernel).acknowledge(run, state))
            handed.append(run)
        kernel.clock.advance(seconds=LOOK_AGAIN.total_seconds())
    assert handed == runs


# ---------------------------------------------------------------- claims
def test_a_run_is_claimed_once(make_kernel: MakeKernel, database_url: str) -> None:
    """Of two servers that have a run in their queues, one gets it, whether or not its worker has acknowledged."""
    here, there = make_kernel(storage=database_url), make_kernel(storage=database_url)
    run = defer(here)
    state = claim(here, run)
    assert state is not None
    assert claim(there, run) is None
    here.run(queues_of(here).acknowledge(run, state))
    there.clock.advance(hours=1)
    assert claim(there, run) is None
    there.run(queues_of(there).fill(["hello"]))
    assert taken(there, "hello") == []


def test_many_claim_one_run(kernel: KernelUnderTest) -> None:
    """Of many that claim a run at the same time exactly one gets it."""
    run, queues = defer(kernel), queues_of(kernel)

    async def race() -> list[Any]:
        return await asyncio.gather(*(queues.claim(run) for _ in range(32)))

    assert len([found for found in kernel.run(race()) if found is not None]) == 1


def test_a_claim_that_is_not_acknowledged_expires(kernel: KernelUnderTest) -> None:
    """When the server has died between claim and acknowledgement, another one hands the run out later."""
    run = defer(kernel)
    assert claim(kernel, run) is not None
    taken(kernel, "hello")
    kernel.clock.advance(seconds=EXPIRY.total_seconds())
    kernel.run(queues_of(kernel).fill(["hello"]))
    assert taken(kernel, "hello") == []
    kernel.clock.advance(seconds=LOOK_AGAIN.total_seconds())
    kernel.run(queues_of(kernel).fill(["hello"]))
    assert taken(kernel, "hello") == [run]
    assert claim(kernel, run) is not None


def test_a_released_run_is_the_next(kernel: KernelUnderTest) -> None:
    """A run whose worker went away goes before the others."""
    first, second = defer(kernel, dynamic="0"), defer(kernel, dynamic="1")
    assert queues_of(kernel).take(["hello"]) == ("hello", first)
    state = claim(kernel, first)
    assert state is not None

    async def released() -> None:
        await queues_of(kernel).release("hello", first, state)

    kernel.run(released())
    assert taken(kernel, "hello") == [first, second]
    assert claim(kernel, first) is not None


def test_what_is_not_scheduled_is_not_handed_out(kernel: KernelUnderTest) -> None:
    """A run that was cancelled or deleted while it waited cannot be claimed."""
    cancelled, deleted = defer(kernel, dynamic="0"), defer(kernel, dynamic="1")
    body = {"state": {"type": "CANCELLED"}, "force": True}
    kernel.client.post(f"/task_runs/{cancelled}/set_state", json=body)
    assert kernel.client.delete(f"/task_runs/{deleted}").status == 204
    assert [claim(kernel, run) for run in (cancelled, deleted)] == [None, None]


def test_a_run_that_is_scheduled_anew_can_be_claimed_anew(kernel: KernelUnderTest) -> None:
    """A claim is for one state; a retry is another one."""
    run = defer(kernel)
    state = claim(kernel, run)
    assert state is not None
    kernel.run(queues_of(kernel).acknowledge(run, state))
    retry = {"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": {"deferred": True}}
    kernel.client.post(f"/task_runs/{run}/set_state", json={"state": retry, "force": True})
    again = claim(kernel, run)
    assert again not in (None, state)


def test_old_claims_are_removed(kernel: KernelUnderTest, monkeypatch: Any) -> None:
    """Claims on runs that have gone on, or are gone, do not stay."""
    monkeypatch.setattr(module, "CLEAN_EVERY", 3)
    runs = [defer(kernel, dynamic=str(n)) for n in range(4)]
    for n, run in enumerate(runs):
        state = claim(kernel, run)
        assert state is not None
        kernel.run(queues_of(kernel).acknowledge(run, state))
        if n == 0:
            assert claims(kernel) == [run]
            kernel.client.post(f"/task_runs/{run}/set_state", json={"state": {"type": "PENDING"}, "force": True})
        elif n == 1:
            kernel.client.delete(f"/task_runs/{run}")
    assert sorted(claims(kernel)) == sorted(runs[2:])


def test_waiting_ends_when_a_run_arrives(kernel: KernelUnderTest) -> None:
    """Who waits is given the run when it comes, and nothing when none comes in time."""
    queues = queues_of(kernel)

    async def story() -> tuple[Any, Any]:
        waiting = asyncio.ensure_future(queues.next(["hello"], 60))
        await asyncio.sleep(0)
        queues.put("other", "x")
        queues.put("hello", "y")
        return await asyncio.wait_for(waiting, 10), await queues.next(["hello"], 0.01)

    assert kernel.run(story()) == (("hello", "y"), None)
    assert timedelta(0) < LOOK_AGAIN


def test_keys_of_workers_that_have_gone_are_forgotten(kernel: KernelUnderTest) -> None:
    """A worker may bring any number of keys; only those for which others wait, or runs, stay in memory."""
    queues, many = queues_of(kernel), [f"key-{number}" for number in range(1000)]
    run = defer(kernel, "key-5")

    async def come_and_go() -> tuple[int, int]:
        async with queues.serving(["key-7"]):
            async with queues.serving(many):
                await queues.fill(many)
                with_them = len(queues._queues)
            return with_them, len(queues._queues)

    assert kernel.run(come_and_go()) == (1000, 2)
    assert taken(kernel, "key-5") == [run]
