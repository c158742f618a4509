"""Plugins' handlers of events."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from prefect_kernel import hookimpl
from prefect_kernel.testing import KernelUnderTest, MakeKernel

from .support import event


class Acme:
    """A plugin whose handler is the function that it is made with."""

    def __init__(self, handle: Any, name: str = "acme") -> None:
        self.__name__, self._handle = name, handle

    @hookimpl
    def kernel_event_handlers(self) -> Any:
        return [self._handle]


class Seen:
    """A handler that notes what it is given."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.changed = asyncio.Event()

    async def __call__(self, kernel: Any, events: list[dict[str, Any]]) -> None:
        self.events += events
        self.changed.set()

    async def until(self, count: int) -> list[dict[str, Any]]:
        """What it was given, once that is so many."""
        async with asyncio.timeout(20):
            while len(self.events) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.events


def send(kernel: KernelUnderTest, *events: dict[str, Any]) -> None:
    """Send events as clients do."""
    assert kernel.client.post("/events", json=list(events)).status == 204


def test_events_of_clients_and_of_the_server(make_kernel: MakeKernel, prepared_url: str) -> None:
    """Both are given as clients see them, once they are committed."""
    seen = Seen()
    stored: list[int] = []

    async def handle(kernel: Any, events: list[dict[str, Any]]) -> None:
        answer = await kernel_.client.ask("POST", "/events/filter", json={})
        stored.append(answer.json()["total"])
        await seen(kernel, events)

    kernel_ = make_kernel(Acme(handle), storage=prepared_url)
    sent = event(kernel_, "test.sent", payload={"a": [1]})
    send(kernel_, sent)
    run = kernel_.flow_run(state={"type": "PENDING"})
    kernel_.tick("event-persister")
    kernel_.run(seen.until(2))
    first = next(one for one in seen.events if one["event"] == "test.sent")
    second = next(one for one in seen.events if one["event"].startswith("prefect.flow-run."))
    assert {name: first[name] for name in ("id", "event", "payload")} == {
        "id": sent["id"],
        "event": "test.sent",
        "payload": {"a": [1]},
    }
    assert (second["event"], second["resource"]["prefect.resource.id"]) == (
        "prefect.flow-run.Pending",
        f"prefect.flow-run.{run['id']}",
    )
    assert min(stored) >= 1


def test_an_event_that_comes_again(make_kernel: MakeKernel) -> None:
    """Is no news."""
    seen = Seen()
    kernel = make_kernel(Acme(seen))
    again, last = event(kernel, "test.again"), event(kernel, "test.last")
    for one in (again, again, last):
        send(kernel, one)
    assert [one["event"] for one in kernel.run(seen.until(2))] == ["test.again", "test.last"]


@pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(1), asyncio.CancelledError()])
def test_one_that_fails(make_kernel: MakeKernel, raised: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Is logged with its plugin's name, and called again; others do not notice."""

    async def fail(kernel: Any, events: list[dict[str, Any]]) -> None:
        events.clear()
        raise raised

    seen = Seen()
    kernel = make_kernel(Acme(fail, "broken"), Acme(seen))
    with caplog.at_level(logging.ERROR, "prefect_kernel.events"):
        for number in (1, 2):
            send(kernel, event(kernel, f"test.{number}"))
            kernel.run(seen.until(number))
    assert caplog.text.count("the event handler of plugin broken failed on 1 events") == 2


def test_a_number_of_any_size(make_kernel: MakeKernel) -> None:
    """Is given as it is, and what comes after it is given, too."""
    seen = Seen()
    kernel = make_kernel(Acme(seen))
    huge = 10**400
    send(kernel, event(kernel, "test.huge", payload={"n": huge}))
    send(kernel, event(kernel, "test.next"))
    given = kernel.run(seen.until(2))
    assert [one["event"] for one in given] == ["test.huge", "test.next"]
    assert given[0]["payload"] == {"n": huge}


def test_one_that_hangs(make_kernel: MakeKernel, caplog: pytest.LogCaptureFixture) -> None:
    """Is given up after its time, and is given the next ones; ingest never waits for it."""
    seen = Seen()

    async def hang(kernel: Any, events: list[dict[str, Any]]) -> None:
        if events[0]["event"] == "test.hang":
            await asyncio.Event().wait()
        await seen(kernel, events)

    kernel = make_kernel(Acme(hang), settings={"PREFECT_KERNEL_PLUGIN_TIMEOUT": 0.2})
    with caplog.at_level(logging.ERROR, "prefect_kernel.events"):
        send(kernel, event(kernel, "test.hang"))
        send(kernel, event(kernel, "test.next"))
        assert [one["event"] for one in kernel.run(seen.until(1))] == ["test.next"]
    assert "the event handler of plugin acme failed" in caplog.text


def test_one_that_is_too_slow(make_kernel: MakeKernel, caplog: pytest.LogCaptureFixture) -> None:
    """Misses the oldest, and memory stays bounded."""
    seen, go = Seen(), asyncio.Event()

    async def slow(kernel: Any, events: list[dict[str, Any]]) -> None:
        await go.wait()
        await seen(kernel, events)

    async def let_it() -> None:
        go.set()

    kernel = make_kernel(Acme(slow), settings={"PREFECT_KERNEL_EVENT_QUEUE_SIZE": 3})
    with caplog.at_level(logging.ERROR, "prefect_kernel.events"):
        for number in range(8):
            send(kernel, event(kernel, f"test.{number}"))
    kernel.run(let_it())
    given = [one["event"] for one in kernel.run(seen.until(3))]
    assert given[-3:] == ["test.5", "test.6", "test.7"]
    assert "is too slow, and misses 1 events" in caplog.text


def test_what_waits_at_the_end_is_given(make_kernel: MakeKernel) -> None:
    """A server that stops as it should has told its handlers everything."""
    seen = Seen()
    kernel = make_kernel(Acme(seen))
    send(kernel, *(event(kernel, f"test.{number}") for number in range(3)))
    kernel.run(kernel.kernel.close())
    assert [one["event"] for one in seen.events] == ["test.0", "test.1", "test.2"]
