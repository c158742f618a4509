"""Frames as notifications, in as many parts as they need: one has room for less than 8000 bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

from prefect_kernel.ids import uuid4

from ..storage_postgres.options import connect_options

CHANNEL = "prefect_kernel"
"""With the schema's name behind it: a database may hold several servers' tables."""
PART_BYTES = 7800
PARTIAL = 100
"""Frames of which some parts have come; beyond that the oldest are given up."""
CONNECT_SECONDS = 10.0
PROBE_SECONDS = 3.0
"""How long a notification through a pooler may take."""
POOLER_SECONDS = 30.0
"""Pause before a pooler that lets none through is tried again."""

_NOTIFY = "SELECT pg_notify($1, part) FROM unnest($2::text[]) AS part"


def parts(number: int, frame: bytes) -> Iterator[str]:
    """A frame in parts; each begins with the frame's number, and says how many are still to come."""
    cuts, at = [0], 0
    while len(frame) - at > PART_BYTES:
        at += PART_BYTES
        while frame[at] & 0xC0 == 0x80:  # in the middle of a character
            at -= 1
        cuts.append(at)
    cuts.append(len(frame))
    for index, (start, end) in enumerate(pairwise(cuts)):
        yield f"{number} {len(cuts) - 2 - index}\n" + frame[start:end].decode()


class Joiner:
    """Frames from their parts; one of which a part is missing is dropped."""

    def __init__(self) -> None:
        self._begun: dict[tuple[int, str], tuple[int, list[str]]] = {}

    def add(self, sender: int, payload: str) -> bytes | None:
        """The frame that is complete with this part, if any."""
        head, _, text = payload.partition("\n")
        number, _, to_come = head.partition(" ")
        if not to_come.isdigit():
            return None
        key, left = (sender, number), int(to_come)
        expected, texts = self._begun.pop(key, (left, []))
        if expected != left:
            return None
        texts.append(text)
        if left == 0:
            return "".join(texts).encode()
        self._begun[key] = (left - 1, texts)
        if len(self._begun) > PARTIAL:
            del self._begun[next(iter(self._begun))]
        return None


class Notifications:
    """LISTEN and NOTIFY on one connection."""

    name = "PostgreSQL"

    def __init__(self, settings: Any) -> None:
        self._options = connect_options(settings.database_url, settings)
        self._options["timeout"] = min(self._options["timeout"], CONNECT_SECONDS)
        self._options["command_timeout"] = CONNECT_SECONDS
        self._options["statement_cache_size"] = 0  # behind a pooler, statements may meet another connection
        self._connection: Any = None
        self._channel = CHANNEL
        self._number = 0
        self._closing = asyncio.Event()
        self._deaf = False
        """A pooler lets no notifications through."""

    async def run(self, receive: Callable[[bytes], None], heard: Callable[[], None]) -> None:
        import asyncpg

        if self._deaf:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), POOLER_SECONDS)
        broken, probed = asyncio.Event(), asyncio.Event()
        joiner, probe = Joiner(), f"probe {uuid4()}"

        def notified(_: Any, sender: int, channel: str, payload: str) -> None:
            if payload == probe:
                probed.set()
                return
            frame = joiner.add(sender, payload)
            if frame is not None:
                receive(frame)

        connection = await asyncpg.connect(**self._options)
        try:
            if self._closing.is_set():
                return
            connection.add_termination_listener(lambda _: broken.set())
            schema, process = await connection.fetchrow("SELECT current_schema(), pg_backend_pid()")
            self._channel = f"{CHANNEL}_{schema}"[:63]
            await connection.add_listener(self._channel, notified)
            if process != connection.get_server_pid():
                await self._pass_pooler(probe, probed)
            if self._closing.is_set():  # `close` has not seen this connection, and nobody else ends it
                return
            self._connection = connection
            heard()
            await broken.wait()
            raise ConnectionError("the connection was closed")
        finally:
            self._connection = None
            connection.terminate()

    async def _pass_pooler(self, probe: str, probed: asyncio.Event) -> None:
        """Raise ConnectionError unless a notification from elsewhere comes while this connection does nothing.

        What it notifies of itself comes back in any case: while it does, it has the connection that listens.
        """
        self._deaf = False
        await self._notify(self._channel, probe)
        try:
            await asyncio.wait_for(probed.wait(), PROBE_SECONDS)
        except TimeoutError:
            self._deaf = True
            raise ConnectionError("a pooler in transaction mode lets no notifications through") from None

    async def send(self, frames: list[bytes]) -> None:
        connection = self._connection
        if connection is None:
            raise ConnectionError("there is no connection")
        texts: list[str] = []
        for frame in frames:
            self._number += 1
            texts += parts(self._number, frame)
        try:
            await connection.execute(_NOTIFY, self._channel, texts)
        except Exception:
            connection.terminate()  # `run` notices
            raise

    async def ping(self) -> None:
        await self._notify(CHANNEL, "")

    async def _notify(self, channel: str, payload: str) -> None:
        """Notify over a connection of its own."""
        import asyncpg

        connection = await asyncpg.connect(**self._options)
        try:
            await connection.execute("SELECT pg_notify($1, $2)", channel, payload)
        finally:
            await connection.close(timeout=CONNECT_SECONDS)

    async def close(self) -> None:
        self._closing.set()
        if self._connection is not None:
            self._connection.terminate()
