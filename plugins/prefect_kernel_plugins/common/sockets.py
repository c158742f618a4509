"""What the WebSockets that only send have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from prefect_kernel import web
from prefect_kernel.web.websocket import Disconnected

F = TypeVar("F")

_REASON_BYTES = 120
"""A close frame has room for 123 bytes."""


async def receive_filter(
    socket: web.WebSocket, validate: Callable[[dict[str, Any]], F]
) -> tuple[dict[str, Any], F] | None:
    """The first message, which must be of type `filter`, and the filter that `validate` finds in it.

    None when there is none; the socket is closed then, and has been told why.
    """
    try:
        message = orjson.loads(await socket.receive())
    except ValueError:
        message = None
    if not isinstance(message, dict) or message.get("type") != "filter":
        await socket.close(1002, "Expected 'filter' message")
        return None
    try:
        return message, validate(message)
    except (ValidationError, KeyError) as error:
        await socket.close(1002, _reason(f"Invalid filter: {error}"))
        return None


def _reason(text: str) -> str:
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
