"""Frames as entries of one Redis stream of bounded length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..common.redis_client import open_async, prefix

ENTRIES = 2000
"""About so many entries are kept; who is further behind has missed some, and notices."""
BLOCK_SECONDS = 2.0
GRACE_SECONDS = 3.0
"""How much later than it should an answer may come."""
READ = 200
"""Entries read at once."""
LASTS_SECONDS = 24 * 3600
"""After which the stream is gone when nobody writes to it."""


class Stream:
    """One stream; each process reads it from the end that it has when it begins."""

    name = "Redis"

    def __init__(self, settings: Any) -> None:
        self._key = f"{prefix(settings)}:messages"
        # Limits are the sockets' own: a client that is cancelled in the middle of a call leaves connections behind.
        self._reader = open_async(settings, socket_timeout=BLOCK_SECONDS + GRACE_SECONDS, max_connections=1)
        self._writer = open_async(settings)
        self._closing = False

    async def run(self, receive: Callable[[bytes], None], heard: Callable[[], None]) -> None:
        last = await self._end()
        heard()
        while not self._closing:  # a client that was closed would connect again
            found: Any = await self._reader.xread({self._key: last}, count=READ, block=int(BLOCK_SECONDS * 1000))
            if not found:
                end = await self._end()
                if _order(end) < _order(last):
                    last = b"0-0"  # it was emptied, and the clock of the new one is behind
                continue
            for entry, fields in found[self._key.encode()][0] if isinstance(found, dict) else found[0][1]:
                last = entry
                receive(fields[b"f"])

    async def _end(self) -> bytes:
        """The id of the last entry."""
        entries: Any = await self._reader.xrevrange(self._key, count=1)
        return bytes(entries[0][0]) if entries else b"0-0"

    async def send(self, frames: list[bytes]) -> None:
        async with self._writer.pipeline(transaction=False) as pipeline:
            for frame in frames:
                pipeline.xadd(self._key, {"f": frame}, maxlen=ENTRIES, approximate=True)
            pipeline.expire(self._key, LASTS_SECONDS)
            await pipeline.execute()

    async def ping(self) -> None:
        await self._writer.ping()

    async def close(self) -> None:
        self._closing = True
        await self._reader.aclose()
        await self._writer.aclose()


def _order(id: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in id.split(b"-"))
