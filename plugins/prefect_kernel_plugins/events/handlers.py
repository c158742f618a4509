"""Plugins' handlers of events: each is given what was committed, batch by batch, and none holds up the server.

A handler runs beside the server, one call after the other, in the process that stored the events. It is told of an
event at most once: what waits when the process dies is lost to it, and is in the table of events.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson

from .received import Received

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

log = logging.getLogger("prefect_kernel.events")

BATCH = 500
"""Events of one call."""


class _Handler:
    """One handler, and the events that wait for it."""

    def __init__(self, kernel: Kernel, plugin: str, function: Any) -> None:
        settings = kernel.settings.kernel
        self._kernel, self._plugin, self._function = kernel, plugin, function
        self._seconds, self._limit = settings.plugin_timeout, settings.event_queue_size
        self._waiting: deque[Received] = deque()
        self._filled = asyncio.Event()
        self._closing = False

    def take(self, events: list[Received]) -> None:
        """Have the handler called with these events soon; one that is too far behind misses the oldest."""
        self._waiting.extend(events)
        if (missed := len(self._waiting) - self._limit) > 0:
            for _ in range(missed):
                self._waiting.popleft()
            log.error("the event handler of plugin %s is too slow, and misses %d events", self._plugin, missed)
        self._filled.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Call it while there is something; at the end it is given what still waits, in the time that a call has."""
        task = asyncio.create_task(self._run(), name=f"event handler of {self._plugin}")
        try:
            yield
        finally:
            self._closing = True
            self._filled.set()
            _, late = await asyncio.wait({task}, timeout=self._seconds)
            if late:
                task.cancel()
                log.error(
                    "the event handler of plugin %s does not end, and misses %d events",
                    self._plugin,
                    len(self._waiting),
                )

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                await self._call([self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))])
            if self._closing:
                return

    async def _call(self, events: list[Received]) -> None:
        try:
            # Parsed for each handler anew: what one does to the objects is its own business.
            shown = [_loads(event.json()) for event in events]
            async with asyncio.timeout(self._seconds):
                await self._function(self._kernel, shown)
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # a SystemExit would end the event loop
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # otherwise it is what the handler waited for that was cancelled
            log.exception("the event handler of plugin %s failed on %d events", self._plugin, len(events))


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # a number beyond 64 bits
        return json.loads(text)


@asynccontextmanager
async def event_handlers(kernel: Kernel) -> AsyncIterator[None]:
    """Lifespan: hand committed events to the plugins that want them."""
    handlers = [_Handler(kernel, *declared) for declared in kernel.plugins.collect("kernel_event_handlers")]
    if not handlers:
        yield
        return

    def hand(events: list[Received]) -> None:
        for handler in handlers:
            handler.take(events)

    async with AsyncExitStack() as stack:
        for handler in handlers:
            await stack.enter_async_context(handler.running())
        kernel.events.handlers = hand
        try:
            yield
        finally:
            kernel.events.handlers = None
