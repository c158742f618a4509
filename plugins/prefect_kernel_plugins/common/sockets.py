"""What the WebSockets that only send have in common."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import ValidationError

from prefect_kernel import errors, web
from prefect_kernel.ports.broker import Missed
from prefect_kernel.web.websocket import Disconnected

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

F = TypeVar("F")
T = TypeVar("T")

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


# ---------------------------------------------------------------- what subscribers of the broker miss
LOOK_AGAIN = 1.0
"""Seconds between two attempts to look up what was missed."""
REMEMBERED = 10_000
CLOCKS = timedelta(seconds=5)
"""By how much the clocks of server processes may differ."""


class Remembered:
    """The ids that were seen last, so that what comes again is known."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, id: str) -> bool:
        """Take an id; False when it is known."""
        if id in self._ids:
            return False
        self._ids[id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return True


async def looked_up(look: Callable[[], AsyncIterator[T]]) -> AsyncIterator[T]:
    """What is found in the database; while it is away, look again and again (so that some may be found twice)."""
    while True:
        try:
            async for found in look():
                yield found
            return
        except errors.StorageUnavailable:
            await asyncio.sleep(LOOK_AGAIN)


def stored_since(kernel: Kernel, missed: Missed, began: datetime | None) -> datetime:
    """When the first was stored, at the earliest, of what was missed; not before `began`."""
    since = kernel.clock.now() - timedelta(seconds=time.monotonic() - missed.since) - CLOCKS
    return since if began is None else max(since, began)
