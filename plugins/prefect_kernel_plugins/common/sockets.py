"""What the WebSockets that only send have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from prefect_kernel import web
from prefect_kernel.web.websocket import Disconnected

_REASON_BYTES = 120
"""A close frame has room for 123 bytes."""


def reason(text: str) -> str:
    """As much of a text as a close frame has room for."""
    return text.encode()[:_REASON_BYTES].decode(errors="ignore")


async def _gone(socket: web.WebSocket) -> None:
    """Return when the client has gone; what it says is of no interest."""
    while True:
        try:
            await socket.receive()
        except Disconnected:
            return


async def send_until_gone(socket: web.WebSocket, sending: Coroutine[Any, Any, None]) -> None:
    """Run what sends, until it ends or the client has gone."""
    tasks = [asyncio.ensure_future(_gone(socket)), asyncio.ensure_future(sending)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[1].done():
            tasks[1].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
