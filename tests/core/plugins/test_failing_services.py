"""The failure table while services run."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from prefect_kernel import Service, errors
from prefect_kernel.services import MAX_ROUND
from prefect_kernel.testing import KernelUnderTest, MakeKernel

from .support import plugin, said


class Odd(Service):
    """A service that fails as it is told to."""

    name = "odd"
    essential = True
    jitter = 0
    way = "works"
    rounds = 0
    starts: asyncio.Queue[int]
    """The number of each round, once it has begun."""
    goes_on: asyncio.Event

    @classmethod
    def every(cls, settings: Any) -> float:
        return 5

    async def tick(self) -> None:
        type(self).rounds += 1
        self.starts.put_nowait(self.rounds)
        if self.way == "raises":
            raise ValueError("no good")
        if self.way == "exits":
            raise SystemExit(3)
        if self.way == "has no database":
            raise errors.StorageUnavailable("away")
        if self.way == "waits for what is cancelled":
            waiting = asyncio.create_task(asyncio.sleep(60))
            waiting.cancel()
            await waiting
        if self.way == "hangs":
            await self.goes_on.wait()


@pytest.fixture
def odd(make_kernel: MakeKernel) -> KernelUnderTest:
    """A kernel with an odd service, which can be `run`."""
    Odd.way, Odd.rounds = "works", 0
    kernel = make_kernel(plugin(services=[Odd]))

    async def prepare() -> None:
        Odd.starts, Odd.goes_on = asyncio.Queue(), asyncio.Event()

    kernel.run(prepare())
    return kernel


async def rounds(count: int) -> None:
    """Wait until the service has begun its next round, which must be this one."""
    assert await Odd.starts.get() == count


def health(kernel: KernelUnderTest) -> dict[str, Any]:
    """What is said of the odd service."""
    services = kernel.client.get("/kernel/health").json()["services"]
    found: dict[str, Any] = next(service for service in services if service["name"] == "odd")
    return found


@pytest.mark.parametrize("way", ["raises", "exits", "waits for what is cancelled"])
def test_a_service_that_fails(odd: KernelUnderTest, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """A round that fails is logged and tried again, ever later; health says so until a round succeeds."""
    Odd.way = way
    (service,) = [s for s in odd.kernel.services() if s.name == "odd"]
    task = odd.run(start(service))
    odd.run(rounds(1))
    with caplog.at_level(logging.ERROR, "prefect_kernel.services"):
        for expected, seconds in ((2, 10), (3, 20), (4, 40), (5, 60), (6, 60)):
            odd.run(settled(task))
            odd.clock.advance(seconds=seconds - 0.1)
            odd.run(settled(task))
            assert Odd.rounds == expected - 1, "it came too early"
            odd.clock.advance(seconds=0.1)
            odd.run(rounds(expected))
    assert health(odd)["state"] == "failing"
    assert odd.client.get("/kernel/health").json()["status"] == "degraded"
    assert said(caplog, "service odd failed")
    Odd.way = "works"
    odd.clock.advance(seconds=60)
    odd.run(rounds(7))
    odd.run(settled(task))
    assert health(odd)["state"] == "running"


def test_a_service_without_a_database(odd: KernelUnderTest) -> None:
    """However long the database is away, the service is there soon after it has come back."""
    Odd.way = "has no database"
    (service,) = [s for s in odd.kernel.services() if s.name == "odd"]
    task = odd.run(start(service))
    for expected in range(1, 6):
        odd.run(rounds(expected))
        odd.run(settled(task))
        odd.clock.advance(seconds=5)
    assert service.backoff == 5


async def start(service: Service) -> asyncio.Task[None]:
    """Run a service as the supervisor does."""
    return asyncio.create_task(service.run())


async def settled(task: asyncio.Task[None]) -> None:
    """Let what is ready to run come to its next wait."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()


def test_a_service_that_ends(make_kernel: MakeKernel, caplog: pytest.LogCaptureFixture) -> None:
    """One whose `run` is its own, and returns or raises, is told by the log and by health."""

    class Odd(Service):
        name = "odd"

        @classmethod
        def every(cls, settings: Any) -> float:
            return 5

        async def tick(self) -> None: ...

        async def run(self) -> None:
            raise ValueError("no good")

    kernel = make_kernel(plugin(services=[Odd]))

    async def supervised() -> None:
        kernel.kernel.supervisor.start(kernel.kernel.services())
        await asyncio.sleep(0.1)

    with caplog.at_level(logging.ERROR, "prefect_kernel.services"):
        kernel.run(supervised())
    assert said(caplog, "service odd has ended, and is not started again", "no good")
    assert health(kernel)["last_error"] == "it has ended: ValueError: no good"
    assert health(kernel)["state"] == "failing"


def test_a_service_that_hangs(odd: KernelUnderTest) -> None:
    """A round that does not end is told by health; without an essential service the server is not ready."""
    Odd.way = "hangs"
    (service,) = [s for s in odd.kernel.services() if s.name == "odd"]
    odd.run(start(service))
    odd.run(rounds(1))
    assert (health(odd)["state"], odd.client.get("/ready").status) == ("running", 200)
    odd.clock.advance(seconds=MAX_ROUND + 1)
    assert health(odd)["state"] == "stalled"
    ready = odd.client.get("/ready")
    assert (ready.status, ready.json()) == (503, {"message": "Services have stalled: odd"})
    assert odd.client.get("/health").json() is True


def test_a_service_is_asked_for_its_interval_once(make_kernel: MakeKernel) -> None:
    """So that one which cannot say it later spoils neither its rounds nor what is told of the others."""
    asked = []

    class Moody(Odd):
        @classmethod
        def every(cls, settings: Any) -> float:
            asked.append(cls)
            if len(asked) > 1:
                raise ValueError("no good")
            return 5

    kernel = make_kernel(plugin(services=[Moody]))
    (service,) = [s for s in kernel.kernel.services() if s.name == "odd"]
    service.failures, service.began = 1, kernel.clock.now()
    assert health(kernel)["state"] == "failing"
    (described,) = [s for s in kernel.client.get("/kernel/services").json() if s["name"] == "odd"]
    assert (described["interval_seconds"], described["backoff_seconds"]) == (5, 10)


def test_a_database_that_stands_still(make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe is answered before it gives up by itself, also when the database neither answers nor refuses."""
    from prefect_kernel_plugins.root import routes

    monkeypatch.setattr(routes, "PATIENCE", 0.1)
    kernel = make_kernel()
    assert kernel.client.get("/ready").status == 200
    monkeypatch.setattr(type(kernel.kernel.storage), "ping", lambda _: asyncio.sleep(60))
    ready = kernel.client.get("/ready")
    assert (ready.status, ready.json()) == (503, {"message": "Database is not available"})


def test_a_service_that_does_not_stop(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that heeds no cancellation, or whose clean-up fails, does not keep the server from stopping."""
    from prefect_kernel import services

    monkeypatch.setattr(services, "STOP_SECONDS", 0.1)
    over = asyncio.Event()

    class Deaf(Service):
        name = "deaf"

        @classmethod
        def every(cls, settings: Any) -> float:
            return 5

        async def tick(self) -> None:
            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    continue

        async def stop(self) -> None:
            raise ValueError("no good")

    kernel = make_kernel(plugin(services=[Deaf]))
    supervisor = kernel.kernel.supervisor

    async def start_and_stop() -> None:
        supervisor.start([service for service in kernel.kernel.services() if service.name == "deaf"])
        await asyncio.sleep(0)
        await supervisor.stop()
        over.set()

    kernel.run(start_and_stop())
    assert said(caplog, "service deaf does not stop, and is left behind")
    assert said(caplog, "service deaf failed to stop", "no good")
