"""The contract of brokers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from ...ports.broker import Broker

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
