"""An event loop in a thread, so that tests need none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import wait
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which something that a test waits for has surely gone wrong."""


class LoopThread:
    """Runs coroutines for whoever has no event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kernel under test", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.run(self._cancel_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _cancel_rest(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=5)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, and give its value or raise its error."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        done, _ = wait([future], PATIENCE)
        if not done:
            future.cancel()
            name = getattr(coroutine, "__qualname__", repr(coroutine))
            raise TimeoutError(
                f"{name} did not end within {PATIENCE:g} seconds; the clock stands still unless it is moved"
            )
        return future.result()
