"""What is to be cleaned up is handed to a worker that is connected to another server process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.work_pools.cleanup import Message, queue_of
from prefect_kernel_plugins.work_pools.exchange import TOPIC

KIND = "test.teardown"


class Worker:
    """A connected worker that takes what it gets."""

    kinds: Collection[str] = (KIND,)
    queue_ids: Collection[str] = ()
    most = 10

    def __init__(self, pool_id: str) -> None:
        self.pool_id = pool_id
        self.key = (pool_id, "consumer", "worker")
        self.taken: list[str] = []
        self.arrived = asyncio.Event()

    async def deliver(self, message: Message) -> bool:
        """Take it."""
        self.taken.append(message.id)
        self.arrived.set()
        return True

    async def until(self, ids: list[str]) -> None:
        """Return when it was given these."""
        async with asyncio.timeout(10):
            while self.taken != ids:
                self.arrived.clear()
                await self.arrived.wait()


@pytest.fixture
def two(postgres_url: str, tmp_path: Path) -> Iterator[list[KernelUnderTest]]:
    """Two kernels on one database, which hear of each other."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(KernelUnderTest.opened(tmp_path / name, (), postgres_url, {})) for name in ("a", "b")
        ]


def test_a_worker_elsewhere_is_given_it(two: list[KernelUnderTest]) -> None:
    """What came up before the worker was there, and what comes up while it is; each once."""
    here, there = two
    pool, first, second = uuid4(), uuid4(), uuid4()

    worker, queue = Worker(pool), queue_of(there.kernel)

    async def enqueue(id: str) -> None:
        queue_of(here.kernel).enqueue(id, id, pool, KIND, {"flow_run_id": id})

    async def connect() -> None:
        queue.dispatcher.join(worker)

    async def leave() -> None:
        queue.dispatcher.leave(worker)

    here.run(enqueue(first))
    there.run(connect())
    there.run(worker.until([first]))
    here.run(enqueue(second))
    there.run(worker.until([first, second]))
    there.run(leave())


def test_what_cannot_be_read(two: list[KernelUnderTest], caplog: pytest.LogCaptureFixture) -> None:
    """As from a server of another version: it is logged, and what comes after it is handed out."""
    kernel, worker, id = two[0], Worker(uuid4()), uuid4()
    offer = {"id": id, "key": id, "pool_id": worker.pool_id, "kind": KIND, "target": {}}

    async def offered() -> None:
        queue_of(kernel.kernel).dispatcher.join(worker)
        for message in ({"offer": {**offer, "colour": "blue"}}, {"offer": offer}):
            await kernel.kernel.broker.publish(TOPIC, message)
        await worker.until([id])
        queue_of(kernel.kernel).dispatcher.leave(worker)

    kernel.run(offered())
    assert "is another version running?" in caplog.text
