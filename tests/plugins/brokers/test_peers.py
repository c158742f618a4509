"""Processes notice what they have missed, whatever became of it: on a wire that loses what the test wants lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from prefect_kernel.ports.broker import Missed
from prefect_kernel_plugins.common import peers
from prefect_kernel_plugins.common.pauses import Pauses
from prefect_kernel_plugins.common.peers import PeerBroker

pytestmark = [pytest.mark.asyncio]


class Wire:
    """Between all transports; a frame that `lost` names gets nowhere, and when `cut` nobody can send or hear."""

    def __init__(self) -> None:
        self.receivers: list[Callable[[bytes], None]] = []
        self.lost: Callable[[bytes], bool] = lambda _: False
        self.cut = asyncio.Event()
        self.restored = asyncio.Event()
        self.restored.set()
        self.sent = 0


class End:
    """The transport of one process."""

    name = "wire"

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.closed = asyncio.Event()

    async def run(self, receive: Callable[[bytes], None], heard: Callable[[], None]) -> None:
        await self._wire.restored.wait()
        self._wire.receivers.append(receive)
        heard()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._wire.cut, self.closed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        self._wire.receivers.remove(receive)
        raise ConnectionError("cut")

    async def send(self, frames: list[bytes]) -> None:
        if self._wire.cut.is_set():
            raise ConnectionError("cut")
        for frame in frames:
            self._wire.sent += 1
            if not self._wire.lost(frame):
                for receive in list(self._wire.receivers):
                    receive(frame)

    async def ping(self) -> None:
        """It is there."""

    async def close(self) -> None:
        self.closed.set()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds takes less."""
    for name, seconds in {
        "BEAT": 0.05,
        "IDLE_BEAT": 0.1,
        "SILENT": 0.5,
        "LOOK": 0.2,
        "RETRY": 0.02,
        "LONGEST_RETRY": 0.1,
    }.items():
        monkeypatch.setattr(peers, name, seconds)


async def two(stack: AsyncExitStack, wire: Wire) -> tuple[PeerBroker, PeerBroker]:
    """Two processes on a wire."""
    here = await stack.enter_async_context(PeerBroker(End(wire)).opened())
    there = await stack.enter_async_context(PeerBroker(End(wire)).opened())
    return here, there


async def known(broker: PeerBroker, messages: AsyncIterator[Any], topic: str = "a") -> None:
    """Return when a message of the broker has come."""
    waiting = asyncio.ensure_future(anext(messages))
    async with asyncio.timeout(10):
        while True:
            await broker.publish(topic, "probe")
            await asyncio.wait({waiting}, timeout=0.02)
            if waiting.done():
                if waiting.result() == "probe":
                    return
                waiting = asyncio.ensure_future(anext(messages))


async def next_missed(messages: AsyncIterator[Any]) -> Missed:
    """The next time that something is said to be missing."""
    async with asyncio.timeout(10):
        async for message in messages:
            if isinstance(message, Missed):
                return message
    raise AssertionError


async def test_a_lost_message_is_noticed() -> None:
    """Though nothing is published after it: a later sign of life has a number that shows it."""
    wire = Wire()
    async with AsyncExitStack() as stack:
        here, there = await two(stack, wire)
        async with there.subscribe("a", gaps=True) as far:
            await known(here, far)
            began = time.monotonic()
            wire.lost = lambda frame: b"lose me" in frame
            await here.publish("a", "lose me")
            missed = await next_missed(far)
            assert missed.since <= time.monotonic()
            assert missed.since > began - 10


async def test_what_is_sent_twice_comes_once() -> None:
    """A frame that comes again, since its sender did not know that it had come, is left out."""
    wire = Wire()
    async with AsyncExitStack() as stack:
        here, there = await two(stack, wire)
        async with there.subscribe("a", gaps=True) as far:
            await known(here, far)
            frames: list[bytes] = []
            wire.lost = seen_by(frames)
            await here.publish("a", "one")
            async with asyncio.timeout(10):
                while await anext(far) != "one":
                    pass
            (frame,) = [frame for frame in frames if b"one" in frame]
            for receive in list(wire.receivers):
                receive(frame)
            await here.publish("a", "two")
            async with asyncio.timeout(10):
                while (message := await anext(far)) != "two":
                    assert message != "one"


def seen_by(frames: list[bytes]) -> Callable[[bytes], bool]:
    """Lose nothing, and take note of it."""

    def note(frame: bytes) -> bool:
        frames.append(frame)
        return False

    return note


async def test_who_falls_silent_may_have_died() -> None:
    """It is not known what a process had not said yet, so its listeners look; who says goodbye has said all."""
    wire = Wire()
    async with AsyncExitStack() as stack:
        here, there = await two(stack, wire)
        async with there.subscribe("a", gaps=True) as far:
            await known(here, far)
            wire.lost = lambda frame: here.id.encode() in frame
            await next_missed(far)
            assert there.gauges()["peers"] == 0
            wire.lost = lambda _: False
            await next_missed(far)  # it is back, and has not been heard for a while
            await known(here, far)
            assert there.gauges()["peers"] == 1


async def test_nobody_can_be_heard() -> None:
    """While the wire is cut subscribers look now and then; what was published meanwhile comes, or is looked for."""
    wire = Wire()
    async with AsyncExitStack() as stack:
        here, there = await two(stack, wire)
        async with there.subscribe("a", gaps=True) as far:
            await known(here, far)
            wire.restored.clear()
            wire.cut.set()
            first = await next_missed(far)
            second = await next_missed(far)
            assert second.since >= first.since
            await here.publish("a", "meanwhile")
            wire.cut.clear()
            wire.restored.set()
            found: list[Any] = []
            async with asyncio.timeout(10):
                while "meanwhile" not in found and not any(isinstance(one, Missed) for one in found):
                    found.append(await anext(far))
            await known(here, far)


async def test_what_nobody_wants_is_not_sent() -> None:
    """Where nobody listens elsewhere, only signs of life are sent; while nobody is there, few of them."""
    wire = Wire()
    async with AsyncExitStack() as stack:
        here, there = await two(stack, wire)
        async with here.subscribe("a"), there.subscribe("b", gaps=True) as far:
            await known(here, far, "b")
            sent: list[bytes] = []
            wire.lost = seen_by(sent)
            for _ in range(100):
                await here.publish("a", "x")
            await here.publish("b", "wanted")
            async with asyncio.timeout(10):
                while await anext(far) != "wanted":
                    pass
            assert not [frame for frame in sent if b'"m","a"' in frame]
            assert len([frame for frame in sent if b'"m","b"' in frame]) == 1


async def test_pauses_grow_up_to_a_limit() -> None:
    """Twice as long each time; somewhere in the upper half of it, so that not all processes ask at once."""
    pauses = Pauses(0.5, 5.0)
    found = [pauses.next() for _ in range(50)]
    for number, pause in enumerate(found):
        full = min(5.0, 0.5 * 2**number)
        assert full / 2 <= pause <= full
    assert len(set(found)) > 40
    pauses.reset()
    assert pauses.next() <= 0.5


async def test_who_is_there_only_for_moments_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends as soon as it is made is a failure like others."""
    failures: list[int] = []
    enough = asyncio.Event()

    class Counted(Pauses):
        def next(self) -> float:
            failures.append(self._failures)
            if len(failures) > 5:
                enough.set()
            return super().next()

    class Moment(End):
        async def run(self, receive: Callable[[bytes], None], heard: Callable[[], None]) -> None:
            heard()
            raise ConnectionError("gone again")

    monkeypatch.setattr(peers, "Pauses", Counted)
    async with PeerBroker(Moment(Wire())).opened(), asyncio.timeout(10):
        await enough.wait()
    assert failures[:6] == list(range(6))


async def test_what_could_not_be_sent_is_sent_once_others_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the pause is that has begun."""
    failed = asyncio.Event()

    class Failing(End):
        async def send(self, frames: list[bytes]) -> None:
            try:
                await super().send(frames)
            except ConnectionError:
                failed.set()
                raise

    monkeypatch.setattr(Pauses, "next", lambda _: 3600.0)
    wire = Wire()
    async with PeerBroker(Failing(wire)).opened() as here, asyncio.timeout(10):
        wire.cut.set()
        here._append("m", "a", b'"late"')
        await failed.wait()
        sent: list[bytes] = []
        wire.lost = seen_by(sent)
        wire.cut.clear()
        here._hear()
        await here._idle.wait()
        assert [frame for frame in sent if b"late" in frame]


async def test_the_end_does_not_wait_for_whom_nobody_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the connection breaks just then, as where the database is gone first."""
    monkeypatch.setattr(peers, "CLOSE_SECONDS", 3600.0)
    monkeypatch.setattr(Pauses, "next", lambda _: 3600.0)
    wire, began = Wire(), asyncio.Event()

    class Begun(End):
        async def run(self, receive: Callable[[bytes], None], heard: Callable[[], None]) -> None:
            asyncio.get_running_loop().call_soon(began.set)
            await super().run(receive, heard)

    async with asyncio.timeout(10), PeerBroker(Begun(wire)).opened() as here:
        await began.wait()
        assert here.gauges()["heard"]
        wire.cut.set()
