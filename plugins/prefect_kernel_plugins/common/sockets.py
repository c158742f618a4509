"""What the WebSockets that only send have in common."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import ValidationError

from prefect_kernel import errors, web
from prefect_kernel.ports.broker import Missed

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


# ---------------------------------------------------------------- what subscribers of the broker miss
LOOK_AGAIN = 1.0
"""Seconds between two attempts to look up what was missed."""
REMEMBERED = 50_000
"""Ids that are remembered: of ten seconds (`CLOCKS`, twice) at thousands in a second."""
CLOCKS = timedelta(seconds=5)
"""By how much the clocks of server processes may differ."""


class Remembered:
    """The ids that were seen last, so that what comes again is known."""

    __slots__ = ("_ids", "_in_order")

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._in_order: deque[str] = deque()

    def add(self, id: str) -> bool:
        """Take an id; False when it is known."""
        if id in self._ids:
            return False
        self._ids.add(id)
        self._in_order.append(id)
        if len(self._in_order) > REMEMBERED:
            self._ids.discard(self._in_order.popleft())
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


def stored_until(kernel: Kernel) -> datetime:
    """When the last was stored, at the latest, of what is looked up now.

    What comes later is told to the subscriber by itself. Without an end, a reader that is slower than what comes in
    would be sent all of that, and then once more what it was told of meanwhile.
    """
    return kernel.clock.now() + CLOCKS
