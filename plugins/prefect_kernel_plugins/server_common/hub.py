"""What the connections of one server share, and how they are brought to an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from prefect_kernel.ports.server import ASGIApp, ServeConfig

log = logging.getLogger("prefect_kernel.server")

_READING = 0.002
"""Seconds; less than a loop's clock resolves would be no time."""


class Connection(Protocol):
    """An open connection."""

    def tick(self, now: float) -> None:
        """Close when a time limit has passed; called about once a second."""

    def shutdown(self) -> None:
        """End as soon as what is under way is done."""

    def abort(self) -> None:
        """End at once."""


class Hub:
    """One per server."""

    def __init__(self, app: ASGIApp, config: ServeConfig, loop: asyncio.AbstractEventLoop) -> None:
        self.app, self.config, self.loop = app, config, loop
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopping = False
        self._emptied: asyncio.Future[None] | None = None
        # One timer for all: a timer per request costs more than its parsing. Late by a tenth of a second at most
        # for short limits, by a second for long ones.
        shortest = min(config.keep_alive_timeout, config.header_timeout, config.body_timeout)
        self._period = min(1.0, max(0.1, shortest / 4))
        self._timer = loop.call_later(self._period, self._tick)

    def _tick(self) -> None:
        # After a standstill (a suspended process, a crowded machine) time limits have passed while what clients have
        # sent lies unread. The loop reads between two timers, never within one, so it gets to that first.
        self._timer = self.loop.call_later(_READING, self._check, self.loop.time())

    def _check(self, now: float) -> None:
        for connection in list(self.connections):
            connection.tick(now)
        self._timer = self.loop.call_later(self._period, self._tick)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a call of the application."""
        task = self.loop.create_task(work)
        self.watch(task)
        return task

    def watch(self, task: asyncio.Task[None]) -> None:
        """Let a call of the application finish before the server ends."""
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.stopping:
            self._check_emptied()

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if self.stopping:
            self._check_emptied()

    def _check_emptied(self) -> None:
        if not self.connections and not self.tasks and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    async def shutdown(self) -> None:
        """End all connections: gracefully for `graceful_timeout`, then at once."""
        self.stopping = True
        self._emptied = self.loop.create_future()
        for connection in list(self.connections):
            connection.shutdown()
        self._check_emptied()
        try:
            await asyncio.wait_for(self._emptied, self.config.graceful_timeout)
        except TimeoutError:
            if self.tasks:
                log.warning("Cancelling %d requests that did not end in time.", len(self.tasks))
            for connection in list(self.connections):
                connection.abort()
            for task in list(self.tasks):
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
        finally:
            self._timer.cancel()
