"""What goes away in these tests, and a client that sends events meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import redis as redis_client
from websockets.exceptions import ConnectionClosed, InvalidMessage

from tests.plugins.events.sockets import an_event, checkpoint, events_socket, send_all
from tests.support import services

FULL = os.environ.get("PREFECT_KERNEL_FAULTS") == "full"
PAUSE_SECONDS = 30 if FULL else 6
RECOVERY_SECONDS = 15.0
PATIENCE = PAUSE_SECONDS + 15.0


class Sender:
    """Sends events to a server, a few at a time, and knows which were acknowledged."""

    def __init__(self, api_url: str, make: Callable[[], dict[str, Any]]) -> None:
        self._url, self._make = api_url, make
        self.acknowledged: set[str] = set()
        self.progress = asyncio.Condition()

    async def run(self) -> None:
        """Send until cancelled; begin anew when the connection breaks."""
        while True:
            try:
                async with events_socket(self._url) as socket:
                    while True:
                        events = [self._make() for _ in range(5)]
                        await send_all(socket, events)
                        await checkpoint(socket)
                        async with self.progress:
                            self.acknowledged |= {event["id"] for event in events}
                            self.progress.notify_all()
                        await asyncio.sleep(0.02)
            except (ConnectionClosed, InvalidMessage, OSError, AssertionError):
                await asyncio.sleep(0.1)

    async def more(self, number: int = 50) -> None:
        """Return when so many further events were acknowledged."""
        wanted = len(self.acknowledged) + number
        async with asyncio.timeout(60), self.progress:
            await self.progress.wait_for(lambda: len(self.acknowledged) >= wanted)


@asynccontextmanager
async def sending(
    api_url: str, make: Callable[[], dict[str, Any]] = partial(an_event, "test.fault")
) -> AsyncIterator[Sender]:
    """A sender of events that `make` makes, at work."""
    sender = Sender(api_url, make)
    task = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def on_redis(redis: services.EmbeddedRedis) -> dict[str, str]:
    """The environment of a server whose broker it is."""
    return {"PREFECT_MESSAGING_BROKER": "prefect_redis.messaging", "PREFECT_REDIS_MESSAGING_URL": redis.url}


Fault = Callable[[services.EmbeddedRedis], None]


def restart(redis: services.EmbeddedRedis) -> None:
    """End Redis at once, and start it with nothing in it."""
    redis.kill()
    redis.start()


def flush(redis: services.EmbeddedRedis) -> None:
    """Empty Redis."""
    with redis_client.Redis.from_url(redis.url) as client:
        client.flushall()


def pause(redis: services.EmbeddedRedis) -> None:
    """Have Redis answer nobody for some time."""
    with redis_client.Redis.from_url(redis.url) as client:
        client.client_pause(PAUSE_SECONDS * 1000)


def answered(redis: services.EmbeddedRedis) -> None:
    """Return when Redis answers again."""
    with redis_client.Redis.from_url(redis.url, socket_timeout=PATIENCE) as client:
        client.ping()
