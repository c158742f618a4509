"""The contract of brokers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...ports.broker import Broker, Missed, Topic

PATIENCE = 10.0
"""Seconds after which a message has surely been lost."""


async def _take(messages: AsyncIterator[Any], count: int) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [await anext(messages) for _ in range(count)]


class BrokerContract:
    """Fan-out: every current subscriber of a topic gets every message, in order; nobody holds anybody up."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[Broker]:
        """Give the broker to be tested, with no messages in it."""
        raise NotImplementedError

    def scenario(self, tmp_path: Path, act: Callable[[Broker], Awaitable[None]]) -> None:
        """Run a test's story with an open broker."""

        async def story() -> None:
            async with self.open(tmp_path) as broker:
                await act(broker)

        asyncio.run(story())

    def test_every_subscriber_gets_every_message_in_order(self, tmp_path: Path) -> None:
        """Two subscribers of one topic each get all messages, in the order in which they were published."""

        async def act(broker: Broker) -> None:
            async with broker.subscribe("a") as one, broker.subscribe("a") as two:
                for number in range(3):
                    await broker.publish("a", {"number": number})
                expected = [{"number": 0}, {"number": 1}, {"number": 2}]
                assert expected == await _take(one, 3)
                assert expected == await _take(two, 3)

        self.scenario(tmp_path, act)

    def test_topics_are_apart(self, tmp_path: Path) -> None:
        """A message goes to the subscribers of its topic, and to nobody else."""

        async def act(broker: Broker) -> None:
            async with broker.subscribe("a") as a, broker.subscribe("b") as b:
                await broker.publish("a", "for a")
                await broker.publish("b", "for b")
                assert await _take(a, 1) == ["for a"]
                assert await _take(b, 1) == ["for b"]

        self.scenario(tmp_path, act)

    def test_nothing_from_before(self, tmp_path: Path) -> None:
        """Who subscribes gets messages from then on, and none that were published before."""

        async def act(broker: Broker) -> None:
            await broker.publish("a", "early")
            async with broker.subscribe("a") as messages:
                await broker.publish("a", "late")
                assert await _take(messages, 1) == ["late"]

        self.scenario(tmp_path, act)

    def test_nobody_listens(self, tmp_path: Path) -> None:
        """Publishing without subscribers, and after the last one has left, is no error."""

        async def act(broker: Broker) -> None:
            await broker.publish("a", "to nobody")
            async with broker.subscribe("a") as messages:
                await broker.publish("a", "to somebody")
                assert await _take(messages, 1) == ["to somebody"]
            await broker.publish("a", "to nobody any more")

        self.scenario(tmp_path, act)

    def test_a_slow_subscriber_loses_the_oldest(self, tmp_path: Path) -> None:
        """A subscriber that is more than its limit behind keeps the newest messages; publishing never waits for it."""

        async def act(broker: Broker) -> None:
            async with broker.subscribe("a", limit=3) as slow, broker.subscribe("a", limit=100) as quick:
                for number in range(10):
                    await broker.publish("a", number)
                assert list(range(10)) == await _take(quick, 10)
                assert await _take(slow, 3) == [7, 8, 9]

        self.scenario(tmp_path, act)

    def test_a_waiting_subscriber_is_woken(self, tmp_path: Path) -> None:
        """A subscriber that waits for a message gets it when it is published."""

        async def act(broker: Broker) -> None:
            async with broker.subscribe("a") as messages:
                waiting = asyncio.create_task(_take(messages, 1))
                await asyncio.sleep(0)
                await broker.publish("a", "here")
                assert await waiting == ["here"]

        self.scenario(tmp_path, act)

    def test_who_asks_is_told_what_was_lost(self, tmp_path: Path) -> None:
        """A slow subscriber that wants to know of gaps gets one `Missed`, and then what is published after it."""

        async def act(broker: Broker) -> None:
            before = time.monotonic()
            async with broker.subscribe("a", limit=3, gaps=True) as slow:
                for number in range(4):
                    await broker.publish("a", number)
                await broker.publish("a", "after")
                missed, after = await _take(slow, 2)
                assert isinstance(missed, Missed)
                assert before <= missed.since <= time.monotonic()
                assert after == "after"

        self.scenario(tmp_path, act)

    def test_it_answers(self, tmp_path: Path) -> None:
        """`ping` returns when all is well."""

        async def act(broker: Broker) -> None:
            await broker.ping()

        self.scenario(tmp_path, act)


MOMENT = Topic(
    "moment",
    lambda moment: str(moment.isoformat()).encode(),
    lambda data: datetime.fromisoformat(data.decode()),
)


async def _until_known(broker: Broker, topic: str, messages: AsyncIterator[Any], probe: Any) -> None:
    """Wait until a broker knows that somebody listens elsewhere: from then on every message comes."""
    waiting = asyncio.ensure_future(_take(messages, 1))
    while True:
        await broker.publish(topic, probe)
        await asyncio.wait({waiting}, timeout=0.02)
        if waiting.done():
            if waiting.result() == [probe]:
                return
            waiting = asyncio.ensure_future(_take(messages, 1))


async def _published(messages: AsyncIterator[Any], count: int, probe: Any = "probe") -> list[Any]:
    """The next messages, without probes; that some may be lost can be said at any time."""
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            message = await anext(messages)
            if not isinstance(message, Missed) and message != probe:
                found.append(message)
    return found


class SharedBrokerContract(BrokerContract):
    """Fan-out between processes; `open` opens one that is connected with all that it has opened before."""

    def two(self, tmp_path: Path, act: Callable[[Broker, Broker], Awaitable[None]]) -> None:
        """Run a test's story with two open brokers, as two processes would have them."""

        async def story(here: Broker) -> None:
            async with self.open(tmp_path) as there:
                await act(here, there)

        self.scenario(tmp_path, story)

    def test_others_get_messages_in_order(self, tmp_path: Path) -> None:
        """A subscriber gets what another process publishes, in order and once, as subscribers there do."""

        async def act(here: Broker, there: Broker) -> None:
            async with here.subscribe("a") as near, there.subscribe("a", gaps=True) as far:
                await _until_known(here, "a", far, "probe")
                for number in range(300):
                    await here.publish("a", {"number": number, "text": "ü"})
                expected = [{"number": number, "text": "ü"} for number in range(300)]
                assert await _published(far, 300) == expected
                assert await _published(near, 300) == expected

        self.two(tmp_path, act)

    def test_both_ways(self, tmp_path: Path) -> None:
        """Of two processes each hears the other, and its own messages once."""

        async def act(here: Broker, there: Broker) -> None:
            async with here.subscribe("a", gaps=True) as one, there.subscribe("a", gaps=True) as two:
                await _until_known(here, "a", two, "probe")
                await here.publish("a", "from here")
                assert await _published(two, 1) == ["from here"]
                assert await _published(one, 1) == ["from here"]
                await _until_known(there, "a", one, "another probe")
                await there.publish("a", "from there")
                assert await _published(one, 1, "another probe") == ["from there"]
                assert await _published(two, 1, "another probe") == ["from there"]

        self.two(tmp_path, act)

    def test_topics_say_how_they_are_written(self, tmp_path: Path) -> None:
        """A message that is not JSON goes over in its topic's own way."""

        async def act(here: Broker, there: Broker) -> None:
            async with there.subscribe(MOMENT, gaps=True) as far:
                now = datetime.now(UTC)
                await _until_known(here, MOMENT, far, now)

        self.two(tmp_path, act)

    def test_who_begins_to_listen_is_told(self, tmp_path: Path) -> None:
        """Other processes do not know at once that somebody listens, so that a `Missed` says when they do."""

        async def act(here: Broker, there: Broker) -> None:
            async with there.subscribe("a", gaps=True) as far:
                await _until_known(here, "a", far, "probe")
                async with there.subscribe("b", gaps=True) as other:
                    (missed,) = await _take(other, 1)
                    assert isinstance(missed, Missed)

        self.two(tmp_path, act)

    def test_messages_of_all_sizes(self, tmp_path: Path) -> None:
        """What is published arrives whole; one that is too large for the broker is said to be missed."""

        async def act(here: Broker, there: Broker) -> None:
            async with there.subscribe("a", gaps=True) as far:
                await _until_known(here, "a", far, "probe")
                texts = ["ü€𝄞" * size for size in (1, 2_000, 5_000, 20_000)]
                for text in [*texts, "end"]:
                    await here.publish("a", text)
                found: list[Any] = []
                async with asyncio.timeout(PATIENCE):
                    while not found or found[-1] != "end":
                        found.append(await anext(far))
                arrived = [one for one in found if isinstance(one, str) and one != "probe"]
                assert arrived[0] == texts[0]
                assert set(arrived) <= {*texts, "end"}
                assert arrived == [*texts, "end"] or any(isinstance(one, Missed) for one in found)

        self.two(tmp_path, act)

    def test_listening_again(self, tmp_path: Path) -> None:
        """Who stops to listen and begins anew hears what is published then, or that it missed something."""

        async def act(here: Broker, there: Broker) -> None:
            for _ in range(3):
                async with there.subscribe("a", gaps=True) as far:
                    waiting = asyncio.ensure_future(anext(far))
                    async with asyncio.timeout(PATIENCE):
                        while not waiting.done():
                            await here.publish("a", "again")
                            await asyncio.wait({waiting}, timeout=0.02)
                    assert isinstance(waiting.result(), Missed) or waiting.result() == "again"

        self.two(tmp_path, act)
