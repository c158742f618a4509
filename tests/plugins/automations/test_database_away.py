"""The database goes away while actions are done: none is begun twice by the same server, and none is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from prefect_kernel import errors
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.automations import acting, performing
from prefect_kernel_plugins.automations.acting import Invocation
from tests.plugins.automations.test_actions import act, fire


class Away:
    """Stands for the database while it is away: whoever asks is refused."""

    def __init__(self) -> None:
        self.refused = asyncio.Event()

    async def __call__(self, *_: Any, **__: Any) -> Any:
        self.refused.set()
        raise errors.StorageUnavailable("away")


def test_an_action_under_way_goes_on(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither broken off nor begun again, though its claim runs out; how it went is recorded in the end."""
    begun: list[str] = []
    first, go_on = asyncio.Event(), asyncio.Event()

    async def slow(one: Invocation) -> None:
        begun.append(one.id)
        first.set()
        await go_on.wait()

    monkeypatch.setitem(acting.ACTIONS, "do-nothing", slow)
    monkeypatch.setattr(performing, "RETRY_SECONDS", 0.01)
    fire(kernel, {"type": "do-nothing"})
    storage, service = kernel.kernel.storage, kernel.kernel.supervisor.services["actions"]
    service.__dict__["interval"] = 0.01

    async def away() -> Away:
        stands_in = Away()
        for way in ("read", "write"):
            monkeypatch.setattr(storage, way, stands_in)
        return stands_in

    async def back() -> None:
        monkeypatch.delattr(storage, "read")
        monkeypatch.delattr(storage, "write")

    async def play() -> None:
        round_ = asyncio.create_task(service.tick())
        await first.wait()
        await (await away()).refused.wait()  # the service asks for more to do
        kernel.clock.advance(minutes=1)
        await back()
        asked = asyncio.Event()
        claim = performing.claim

        def claiming(*arguments: Any) -> Any:
            found = yield from claim(*arguments)
            asked.set()
            return found

        monkeypatch.setattr(performing, "claim", claiming)
        await asked.wait()  # it finds its own action, whose claim is over
        stands_in = await away()
        go_on.set()
        stands_in.refused.clear()
        await stands_in.refused.wait()
        await back()
        await round_

    kernel.run(asyncio.wait_for(play(), 20))
    assert len(begun) == 1
    told = act(kernel)
    assert [one["event"].rpartition(".")[2] for one in told] == ["triggered", "executed"]
    assert len(begun) == 1


def test_what_cannot_be_recorded(kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action that says of itself what no JSON can hold is done all the same, once, and holds up no other."""
    done: list[str] = []

    async def odd(one: Invocation) -> None:
        done.append(one.id)
        one.details["what"] = object()

    monkeypatch.setitem(acting.ACTIONS, "cancel-flow-run", odd)
    fire(kernel, {"type": "cancel-flow-run"}, {"type": "do-nothing"})
    told = act(kernel)
    assert [one["event"].rpartition(".")[2] for one in told] == ["triggered", "executed"] * 2
    kernel.clock.advance(minutes=10)
    assert (act(kernel), len(done)) == (told, 1)


def test_an_action_without_a_database(
    kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again, and is nobody's mistake: the log has no traceback."""
    tries: list[str] = []

    async def away(one: Invocation) -> None:
        tries.append(one.id)
        if len(tries) == 1:
            raise errors.StorageUnavailable("away")

    monkeypatch.setitem(acting.ACTIONS, "do-nothing", away)
    fire(kernel, {"type": "do-nothing"})
    assert act(kernel) == []
    kernel.clock.advance(seconds=3)
    assert [one["event"].rpartition(".")[2] for one in act(kernel)] == ["triggered", "executed"]
    assert len(set(tries)) == 1
    assert "Traceback" not in caplog.text
