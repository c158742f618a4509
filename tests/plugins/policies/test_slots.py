"""Slot arithmetic, on both databases."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel_plugins.concurrency_limits_v2 import slots
from prefect_kernel_plugins.concurrency_limits_v2.tables import concurrency_limit_v2

from .rows import limit, row
from .support import NOW, SETTINGS, FakeKernel

LATER = NOW + timedelta(seconds=10)


def _one(call: Any) -> Generator[Any, Any, Any]:
    return (yield call)


async def run(kernel: FakeKernel, call: Any) -> Any:
    """Run one statement in a transaction."""
    return await kernel.storage.write(_one, call)


async def numbers(kernel: FakeKernel, id: str) -> tuple[int, int]:
    """(active, denied) slots as they are stored."""
    found = await row(kernel, concurrency_limit_v2, id)
    return found["active_slots"], found["denied_slots"]


@pytest.mark.asyncio
async def test_slots_are_taken_while_there_are_some(kernel: FakeKernel) -> None:
    """The third of two finds none, and nothing is changed then."""
    id = await limit(kernel, "db", 2)
    assert [await run(kernel, slots.acquire(SETTINGS, [id], 1, NOW)) for _ in range(3)] == [1, 1, 0]
    assert await numbers(kernel, id) == (2, 0)


@pytest.mark.parametrize(("size", "active", "asked", "taken"), [(5, 0, 5, 1), (5, 1, 5, 0), (0, 0, 1, 0), (3, 7, 1, 0)])
@pytest.mark.asyncio
async def test_all_slots_or_none(kernel: FakeKernel, size: int, active: int, asked: int, taken: int) -> None:
    """Several slots are taken at once; a limit that was made smaller than what is active gives none."""
    id = await limit(kernel, "db", size, active_slots=active)
    assert await run(kernel, slots.acquire(SETTINGS, [id], asked, NOW)) == taken


@pytest.mark.asyncio
async def test_a_limit_that_is_switched_off_gives_and_takes_nothing(kernel: FakeKernel) -> None:
    """No statement touches it."""
    id = await limit(kernel, "db", 5, active=False, active_slots=2)
    for call in (slots.acquire, slots.release):
        assert await run(kernel, call(SETTINGS, [id], 1, NOW)) == 0
    assert await numbers(kernel, id) == (2, 0)


@pytest.mark.asyncio
async def test_only_the_limits_with_room_are_counted(kernel: FakeKernel) -> None:
    """With one full limit among several the row count tells that the unit must not go on."""
    free, full = await limit(kernel, "a", 1), await limit(kernel, "b", 1, active_slots=1)
    assert await run(kernel, slots.acquire(SETTINGS, [free, full], 1, NOW)) == 1
    assert await run(kernel, slots.acquire(SETTINGS, [], 1, NOW)) == 0


@pytest.mark.parametrize(("active", "given", "left"), [(3, 1, 2), (3, 3, 0), (1, 5, 0), (0, 1, 0)])
@pytest.mark.asyncio
async def test_slots_are_given_back_down_to_none(kernel: FakeKernel, active: int, given: int, left: int) -> None:
    """Never below zero."""
    id = await limit(kernel, "db", 5, active_slots=active)
    assert await run(kernel, slots.release(SETTINGS, [id], given, NOW)) == 1
    assert await numbers(kernel, id) == (left, 0)


@pytest.mark.parametrize(
    ("decay", "seconds", "active", "decayed"),
    [(0.0, 1000, 4, 4), (0.5, 1, 4, 4), (0.5, 2.5, 4, 3), (0.5, 8.5, 4, 0), (2.0, 1000, 4, 0), (0.5, -10, 4, 4)],
)
@pytest.mark.asyncio
async def test_active_slots_decay(kernel: FakeKernel, decay: float, seconds: float, active: int, decayed: int) -> None:
    """Whole slots only, since the row was last written, which is then now; a clock behind the row's forgives none."""
    id = await limit(kernel, "db", 9, active_slots=active, slot_decay_per_second=decay)
    at = NOW + timedelta(seconds=seconds)
    assert await run(kernel, slots.acquire(SETTINGS, [id], 1, at)) == 1
    assert await numbers(kernel, id) == (decayed + 1, 0)
    assert (await row(kernel, concurrency_limit_v2, id))["updated"] == at


@pytest.mark.parametrize(
    ("name", "decay", "occupancy", "seconds", "left"),
    [
        ("db", 1.0, 100.0, 3.5, 97),  # a rate limit: its own rate
        ("db", 0.0, 2.0, 10, 95),  # one for each time that a slot is held
        ("db", 0.0, 0.0, 1.005, 90),  # at least a tenth of a second
        ("db", 0.0, 1000.0, 90.5, 97),  # at most the longest wait, 30 s
        ("tag:x", 0.0, 1000.0, 90.5, 91),  # 10 s for tags
    ],
)
@pytest.mark.asyncio
async def test_denied_slots_decay(
    kernel: FakeKernel, name: str, decay: float, occupancy: float, seconds: float, left: int
) -> None:
    """As fast as slots become free."""
    id = await limit(
        kernel, name, 9, denied_slots=100, slot_decay_per_second=decay, avg_slot_occupancy_seconds=occupancy
    )
    at = NOW + timedelta(seconds=seconds)
    assert await run(kernel, slots.acquire(SETTINGS, [id], 1, at)) == 1
    assert (await numbers(kernel, id))[1] == left


@pytest.mark.parametrize(
    ("size", "held", "count", "average"),
    [
        (1, 4.0, 1, 2 + (4 - 2) / 2),
        (5, 4.0, 2, 2.0),
        (5, 0.01, 1, 2 + (0.1 - 2) / 10),
        (0, 4.0, 1, 2.0),
        (5, 0, 1, 2.0),
    ],
)
@pytest.mark.asyncio
async def test_the_average_occupancy_follows_what_is_given_back(
    kernel: FakeKernel, size: int, held: float, count: int, average: float
) -> None:
    """Over two samples per slot of the limit, a tenth of a second at least; without a time it stays."""
    id = await limit(kernel, "db", size, active_slots=5)
    assert await run(kernel, slots.release(SETTINGS, [id], count, NOW, held)) == 1
    found = await row(kernel, concurrency_limit_v2, id)
    assert found["avg_slot_occupancy_seconds"] == pytest.approx(average)
    assert found["active_slots"] == 5 - count


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.asyncio
async def test_looking_and_taking_agree(kernel: FakeKernel, decay: float) -> None:
    """Whatever the decay and the second, `have_room` says what `acquire` then does."""
    id = await limit(kernel, "db", 4, active_slots=7, slot_decay_per_second=decay)
    outcomes = set()
    for tenth in range(0, 240, 7):
        at = NOW + timedelta(seconds=tenth / 10)
        found = await row(kernel, concurrency_limit_v2, id)
        room = await kernel.storage.read(slots.have_room, [found], 1, at)
        taken = await run(kernel, slots.acquire(SETTINGS, [id], 1, at))
        assert bool(taken) is room
        outcomes.add(room)
    assert outcomes == ({False} if decay == 0 else {False, True})
