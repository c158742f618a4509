"""The backfill of `/events/out` while events come in that occurred before those that were sent."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel, make_kernel
from prefect_kernel_plugins.common.sockets import CLOCKS
from prefect_kernel_plugins.events.filters import EventFilter, EventOrder
from prefect_kernel_plugins.events.stream import _send, _stored
from tests.plugins.automations.test_triggers import send

__all__ = ["make_kernel"]


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel on each database."""
    return make_kernel(storage=prepared_url, settings={"PREFECT_SERVER_EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE": 2})


async def follow(kernel: KernelUnderTest, socket: Any, until: asyncio.Event) -> None:
    """Let a socket follow events of one name, the stored ones first, until something has happened."""
    filter = EventFilter.model_validate({"event": {"name": ["test.a"]}, "order": EventOrder.ASC})
    filter.occurred.resolve(kernel.clock.now() + timedelta(hours=1))
    following = asyncio.create_task(_send(socket, filter, True))
    try:
        await asyncio.wait_for(until.wait(), 20)
    finally:
        following.cancel()


@pytest.mark.parametrize("since", [None, timedelta(seconds=-5)])
def test_it_ends_for_a_reader_slower_than_what_comes_in(kernel: KernelUnderTest, since: timedelta | None) -> None:
    """What is stored meanwhile is told by itself: a reader that was sent it here as well would get it twice."""
    ids = [send(kernel, "test.a", at=number - 60) for number in range(7)]
    found: list[str] = []

    async def read() -> None:
        filter = EventFilter.model_validate({"event": {"name": ["test.a"]}, "order": EventOrder.ASC})
        now = kernel.clock.now()
        filter.occurred.resolve(now + timedelta(hours=1))
        async for id, _ in _stored(kernel.kernel, filter, None if since is None else now + since):
            found.append(id)
            kernel.clock.advance(seconds=CLOCKS.total_seconds() + 1)
            for at in (-1000, 0):
                await asyncio.to_thread(send, kernel, "test.a", at=at)
            assert len(found) < 100

    kernel.run(read())
    assert found == ids


def test_none_is_sent_twice(kernel: KernelUnderTest) -> None:
    """One that came late moves the others to a later page; each is sent once, the late one as well."""
    ids = [send(kernel, "test.a", at=number - 60) for number in range(6)]
    told: list[str] = []
    all_came = asyncio.Event()

    class Socket:
        """Lets an event that occurred first come in once the first page was sent."""

        def __init__(self) -> None:
            self.kernel = kernel.kernel

        async def send(self, frame: bytes) -> None:
            """Keep what is sent."""
            told.append(json.loads(frame)["event"]["id"])
            if len(told) == 2:
                ids.append(await asyncio.to_thread(send, kernel, "test.a", at=-90))
            if ids[-1] in told:
                all_came.set()

    kernel.run(follow(kernel, Socket(), all_came))
    assert sorted(told) == sorted(ids)
