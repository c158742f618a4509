"""Claims of workers that take long to acknowledge: renewed while they are connected, and nobody else's when lost."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from prefect_kernel.errors import StorageUnavailable
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.task_runs.claims import EXPIRY, task_claim
from prefect_kernel_plugins.task_workers import subscriptions
from tests.plugins.task_workers.test_queues import claim, defer, queues_of, taken

_EXPIRES = Statement(sa.select(task_claim.c.expires))
ALMOST = EXPIRY.total_seconds() - 1


def expires() -> Unit[datetime | None]:
    """When the claim runs out; None for one that is acknowledged."""
    found: datetime | None = (yield _EXPIRES())[0][0]
    return found


async def until_it_expires(kernel: KernelUnderTest, at: datetime | None) -> None:
    """Return when the claim expires at this moment, or never."""
    async with asyncio.timeout(30):
        while await kernel.kernel.storage.read(expires) != at:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.005)


def test_a_lost_claim_is_somebody_elses(make_kernel: MakeKernel, database_url: str) -> None:
    """Who has let a claim expire can neither renew, keep nor give up what another server has claimed since."""
    slow, other, third = (make_kernel(storage=database_url) for _ in range(3))
    run = defer(slow)
    lost = claim(slow, run)
    assert lost is not None
    assert slow.run(queues_of(slow).renew(run, lost))
    for kernel in (slow, other, third):
        kernel.clock.advance(seconds=EXPIRY.total_seconds() + 1)
    mine = claim(other, run)
    assert mine is not None
    taken(slow, "hello")
    assert not slow.run(queues_of(slow).renew(run, lost))
    assert not slow.run(queues_of(slow).acknowledge(run, lost))
    slow.run(queues_of(slow).release("hello", run, lost))
    assert taken(slow, "hello") == []
    assert claim(third, run) is None
    assert other.run(queues_of(other).acknowledge(run, mine))
    assert not other.run(queues_of(other).renew(run, mine)), "what is acknowledged does not expire again"
    third.clock.advance(hours=1)
    assert claim(third, run) is None


class SlowWorker:
    """The socket of a worker that answers when the test wants it to."""

    def __init__(self) -> None:
        self.sent = asyncio.Event()
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self.closed: tuple[Any, ...] | None = None

    async def send(self, run: bytes) -> None:
        """A run has come."""
        self.sent.set()

    async def receive(self) -> str:
        """What it says."""
        return await self.answers.get()

    async def close(self, *why: Any) -> None:
        """The server has had enough."""
        self.closed = why

    async def served(self, kernel: KernelUnderTest) -> asyncio.Task[None]:
        """The task that serves it, once it has been sent a run."""
        worker = subscriptions.Worker("slow", ["hello"], kernel.clock.now())
        socket: Any = self
        task = asyncio.create_task(subscriptions._serve(kernel.kernel, socket, ["hello"], worker))
        await asyncio.wait_for(self.sent.wait(), 30)
        return task


def test_a_worker_may_take_its_time(make_kernel: MakeKernel, database_url: str, monkeypatch: Any) -> None:
    """While it is connected nobody else gets its run, however long it takes to acknowledge it."""
    monkeypatch.setattr(subscriptions, "RENEW_SECONDS", 0.01)
    here, there = make_kernel(storage=database_url), make_kernel(storage=database_url)
    run, socket = defer(here), SlowWorker()
    task = here.run(socket.served(here))

    for _ in range(4):
        here.clock.advance(seconds=ALMOST)
        here.run(until_it_expires(here, here.clock.now() + EXPIRY))
    there.clock.advance(seconds=4 * ALMOST)
    assert claim(there, run) is None

    async def end() -> None:
        socket.answers.put_nowait('{"type": "ack"}')
        await until_it_expires(here, None)
        task.cancel()
        await asyncio.wait({task})

    here.run(end())
    assert socket.closed is None


def test_a_worker_whose_claim_is_lost_is_disconnected(
    make_kernel: MakeKernel, database_url: str, monkeypatch: Any
) -> None:
    """Before it acknowledges, so that it does not begin what another worker was given; that one keeps it."""
    monkeypatch.setattr(subscriptions, "RENEW_SECONDS", 0.2)
    here, there = make_kernel(storage=database_url), make_kernel(storage=database_url)
    run, socket = defer(here), SlowWorker()
    task = here.run(socket.served(here))
    there.clock.advance(seconds=EXPIRY.total_seconds() + 1)
    theirs = claim(there, run)
    assert theirs is not None

    async def ended() -> None:
        await asyncio.wait_for(task, 30)

    here.run(ended())
    assert socket.closed is not None
    assert socket.closed[0] == 1011
    assert taken(here, "hello") == []
    assert there.run(queues_of(there).acknowledge(run, theirs))


def test_a_database_that_is_away_disconnects_nobody(
    make_kernel: MakeKernel, database_url: str, monkeypatch: Any
) -> None:
    """A renewal that fails is tried again."""
    monkeypatch.setattr(subscriptions, "RENEW_SECONDS", 0.01)
    here = make_kernel(storage=database_url)
    defer(here)
    socket, queues, tries = SlowWorker(), queues_of(here), 0
    renew = queues.renew

    async def away(run_id: str, token: str) -> bool:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StorageUnavailable("away")
        return await renew(run_id, token)

    monkeypatch.setattr(queues, "renew", away)
    task = here.run(socket.served(here))
    here.clock.advance(seconds=ALMOST)
    here.run(until_it_expires(here, here.clock.now() + EXPIRY))

    async def end() -> None:
        assert not task.done()
        socket.answers.put_nowait('{"type": "ack"}')
        await until_it_expires(here, None)
        task.cancel()
        await asyncio.wait({task})

    here.run(end())
    assert tries >= 3
    assert socket.closed is None


@pytest.mark.parametrize("told", ["ack", "quit"])
def test_an_answer_in_time(make_kernel: MakeKernel, database_url: str, told: str) -> None:
    """A worker that acknowledges has the run for good; one that quits gives it back."""
    here, there = make_kernel(storage=database_url), make_kernel(storage=database_url)
    run, socket = defer(here), SlowWorker()
    task = here.run(socket.served(here))

    async def end() -> None:
        socket.answers.put_nowait(f'{{"type": "{told}"}}')
        if told == "quit":
            await asyncio.wait_for(task, 30)
            return
        await until_it_expires(here, None)
        task.cancel()
        await asyncio.wait({task})

    here.run(end())
    there.clock.advance(hours=1)
    assert (claim(there, run) is None) == (told == "ack")
