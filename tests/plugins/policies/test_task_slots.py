"""Concurrency limits of tags, in a database: which slots task runs hold, and who waits."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel_plugins.concurrency_limits.tables import concurrency_limit
from prefect_kernel_plugins.concurrency_limits_v2.tables import concurrency_limit_v2
from prefect_kernel_plugins.task_runs import transitions

from .proposals import propose, proposed
from .rows import limit, old_limit, row, task_run_row
from .support import NOW, FakeKernel, run_reads
from .support import no_reads as nothing


async def active(kernel: FakeKernel, id: str) -> int:
    """The slots of a limit that are taken."""
    return int((await row(kernel, concurrency_limit_v2, id))["active_slots"])


async def holders(kernel: FakeKernel, id: str) -> list[str]:
    """The runs that hold a slot of an old limit."""
    return list((await row(kernel, concurrency_limit, id))["active_slots"])


def leases(kernel: FakeKernel, limit_id: str) -> list[Any]:
    """The leases on a limit."""
    return list(run_reads(kernel.leases.of_limit(limit_id, kernel.clock.time), nothing))


@pytest.mark.asyncio
async def test_a_running_task_holds_a_slot_of_each_limit(kernel: FakeKernel) -> None:
    """With a lease for ever; it gives them back when it stops."""
    a, b = await limit(kernel, "tag:a", 1), await limit(kernel, "tag:b", 5)
    other = await limit(kernel, "tag:c", 1)
    id = await task_run_row(kernel, tags=["a", "b", "unlimited"])
    await propose(kernel, id, "RUNNING")
    assert [await active(kernel, one) for one in (a, b, other)] == [1, 1, 0]
    (held,) = leases(kernel, a)
    assert (held.limit_ids, held.slots, held.holder) == ((a, b), 1, {"type": "task_run", "id": id})
    assert held.expires - held.created == timedelta(days=36500)
    await propose(kernel, id, "COMPLETED")
    assert [await active(kernel, one) for one in (a, b, other)] == [0, 0, 0]
    assert leases(kernel, a) == leases(kernel, b) == []


@pytest.mark.asyncio
async def test_without_a_slot_the_client_waits(kernel: FakeKernel) -> None:
    """About as long as slots of the fullest limit are held; none of the others is taken meanwhile."""
    full, free = await limit(kernel, "tag:full", 1), await limit(kernel, "tag:free", 9)
    first, second = [await task_run_row(kernel, tags=["full", "free"]) for _ in range(2)]
    await propose(kernel, first, "RUNNING")
    made = await propose(kernel, second, "RUNNING")
    assert (made.status, made.validated) == ("WAIT", None)
    assert made.details["reason"] == "Concurrency limit reached for tags: free, full"
    assert 1 <= made.details["delay_seconds"] <= 3
    assert [await active(kernel, one) for one in (full, free)] == [1, 1]
    await propose(kernel, first, "FAILED")
    assert (await propose(kernel, second, "RUNNING")).status == "ACCEPT"


@pytest.mark.parametrize("kind", [limit, old_limit])
@pytest.mark.asyncio
async def test_a_limit_of_zero_is_an_abort(kernel: FakeKernel, kind: Any) -> None:
    """Waiting would never end; of other limits nothing is taken."""
    free = await limit(kernel, "tag:a", 1)
    await kind(kernel, "tag:z" if kind is limit else "z", 0)
    made = await propose(kernel, await task_run_row(kernel, tags=["a", "z"]), "RUNNING")
    reason = 'The concurrency limit on tag "z" is 0 and will deadlock if the task tries to run again.'
    assert (made.status, made.details["reason"]) == ("ABORT", reason)
    assert await active(kernel, free) == 0


@pytest.mark.asyncio
async def test_limits_of_the_old_kind(kernel: FakeKernel) -> None:
    """They keep the ids of the runs, and the client waits as long as a setting says."""
    id = await old_limit(kernel, "a", 1)
    first, second = [await task_run_row(kernel, tags=["a"]) for _ in range(2)]
    await propose(kernel, first, "RUNNING")
    assert await holders(kernel, id) == [first]
    made = await propose(kernel, second, "RUNNING")
    assert made.details == {
        "type": "wait_details",
        "delay_seconds": 10,
        "reason": "Concurrency limit for the a tag has been reached",
    }
    assert await holders(kernel, id) == [first]
    await propose(kernel, first, "CANCELLED")
    assert await holders(kernel, id) == []


@pytest.mark.asyncio
async def test_a_limit_of_the_new_kind_stands_for_the_old_one(kernel: FakeKernel) -> None:
    """Unless it is switched off."""
    await limit(kernel, "tag:a", 5)
    new_off = await limit(kernel, "tag:b", 5, active=False)
    old_a, old_b = await old_limit(kernel, "a", 5), await old_limit(kernel, "b", 5)
    id = await task_run_row(kernel, tags=["a", "b"])
    await propose(kernel, id, "RUNNING")
    assert (await holders(kernel, old_a), await holders(kernel, old_b)) == ([], [id])
    assert await active(kernel, new_off) == 0


@pytest.mark.asyncio
async def test_cancelling_keeps_the_slots(kernel: FakeKernel) -> None:
    """The task still runs; only afterwards they are free."""
    new, old = await limit(kernel, "tag:a", 1), await old_limit(kernel, "b", 1)
    id = await task_run_row(kernel, tags=["a", "b"])
    await propose(kernel, id, "RUNNING")
    await propose(kernel, id, "CANCELLING")
    assert (await active(kernel, new), await holders(kernel, old)) == (1, [id])
    await propose(kernel, id, "CANCELLED", policy="minimal-task")
    assert (await active(kernel, new), await holders(kernel, old)) == (0, [])


@pytest.mark.asyncio
async def test_a_run_that_gets_no_further_takes_no_slot(kernel: FakeKernel) -> None:
    """A later rule makes the client wait for the scheduled time."""
    new, old = await limit(kernel, "tag:a", 1), await old_limit(kernel, "b", 1)
    id = await task_run_row(kernel, tags=["a", "b"])
    await propose(kernel, id, "SCHEDULED", scheduled_time=NOW + timedelta(hours=1))
    assert (await propose(kernel, id, "RUNNING")).status == "WAIT"
    assert (await active(kernel, new), await holders(kernel, old), leases(kernel, new)) == (0, [], [])


@pytest.mark.asyncio
async def test_racing_task_runs_never_hold_more_than_the_limit(kernel: FakeKernel) -> None:
    """Of 12 at once, three run; their slots and leases agree, and the others wait."""
    new, old = await limit(kernel, "tag:a", 3), await old_limit(kernel, "b", 3)
    ids = [await task_run_row(kernel, tags=["a", "b"]) for _ in range(12)]
    anything: Any = kernel
    made = await asyncio.gather(*(transitions.set_state(anything, id, proposed("RUNNING")) for id in ids))
    running = {id for id, one in zip(ids, made, strict=True) if one.status == "ACCEPT"}
    assert sorted(one.status for one in made) == ["ACCEPT"] * 3 + ["WAIT"] * 9
    assert await active(kernel, new) == 3
    assert {lease.holder["id"] for lease in leases(kernel, new)} == set(await holders(kernel, old)) == running


@pytest.mark.parametrize("kind", [limit, old_limit])
@pytest.mark.asyncio
async def test_beside_a_limit_of_zero_a_full_one_is_waited_for(kernel: FakeKernel, kind: Any) -> None:
    """The last verdict counts, and of old limits the one by name is last; nothing is taken of those with room."""
    prefix = "tag:" if kind is limit else ""
    await kind(kernel, f"{prefix}b", 0)
    full = await kind(kernel, f"{prefix}c", 1)
    free = await limit(kernel, "tag:a", 9)
    await propose(kernel, await task_run_row(kernel, tags=["c"]), "RUNNING")
    made = await propose(kernel, await task_run_row(kernel, tags=["b", "c", "a"]), "RUNNING")
    assert (made.status, made.validated) == ("WAIT", None)
    assert await active(kernel, free) == 0
    assert (await active(kernel, full) if kind is limit else len(await holders(kernel, full))) == 1
