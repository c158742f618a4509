"""A handler that waits for something else than its client hears that the client has gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from prefect_kernel.web import Disconnected, WebSocket


def socket(*messages: dict[str, Any]) -> WebSocket:
    """A socket that gets these messages, and is then silent."""
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(message: dict[str, Any]) -> None: ...

    kernel: Any = None
    return WebSocket(kernel, {"type": "websocket", "headers": []}, receive, send, {})


async def forever(ended: list[str]) -> None:
    """Wait for what never comes, and say when that is over."""
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("cancelled")


@pytest.mark.asyncio
async def test_the_client_goes() -> None:
    """What sends is cancelled when the client has gone, whatever it has said before."""
    ended: list[str] = []
    gone = socket({"type": "websocket.receive", "text": "hm"}, {"type": "websocket.disconnect"})
    async with asyncio.timeout(5):
        await gone.until_gone(forever(ended))
    assert ended == ["cancelled"]


@pytest.mark.asyncio
async def test_a_socket_that_was_closed() -> None:
    """Nothing is sent on a socket that was refused or closed: nobody is there to go away."""
    closed = socket()
    await closed.close()
    async with asyncio.timeout(5):
        await closed.until_gone(forever([]))


@pytest.mark.asyncio
async def test_what_sends_ends() -> None:
    """It ends with what sends, and raises what that raises."""

    async def fails() -> None:
        raise ValueError("no good")

    async def ends() -> None: ...

    async def closes() -> None:
        await closing.close()
        await closing.send("late")

    closing = socket()
    async with asyncio.timeout(5):
        await socket().until_gone(ends())
        with pytest.raises(ValueError, match="no good"):
            await socket().until_gone(fails())
        with pytest.raises(Disconnected):
            await closing.until_gone(closes())
