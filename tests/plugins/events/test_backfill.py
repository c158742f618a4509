"""The backfill of `/events/out` while events come in that occurred before those that were sent."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel, make_kernel
from prefect_kernel_plugins.events.filters import EventFilter, EventOrder
from prefect_kernel_plugins.events.stream import _send
from tests.plugins.automations.test_triggers import send

__all__ = ["make_kernel"]


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel on each database."""
    return make_kernel(storage=prepared_url, settings={"PREFECT_SERVER_EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE": 2})


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

    async def follow() -> None:
        now = kernel.clock.now()
        filter = EventFilter.model_validate({"event": {"name": ["test.a"]}, "order": EventOrder.ASC})
        filter.occurred.resolve(now + timedelta(hours=1))
        socket: Any = Socket()
        following = asyncio.create_task(_send(socket, filter, True))
        try:
            await asyncio.wait_for(all_came.wait(), 20)
        finally:
            following.cancel()

    kernel.run(follow())
    assert sorted(told) == sorted(ids)
