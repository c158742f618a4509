"""A pool of asyncpg connections.

asyncpg's own pool resets a connection's session and starts a task at each release, which costs more than most of our
statements do. Here sessions never change, so giving a connection back is putting it on a stack.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from prefect_kernel import errors

TOO_MANY = "53300"
"""The code of the error by which PostgreSQL says that it takes no more connections."""


class Pool:
    """At most `size` connections; the one used last is used next, so that idle ones are left to be recycled."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], size: int, recycle: float, timeout: float | None) -> None:
        """`recycle`: seconds after which a connection is replaced (0: never); `timeout`: seconds to wait for one."""
        self._connect, self._size, self._recycle, self._timeout = connect, size, recycle, timeout
        self._idle: list[tuple[Any, float]] = []
        self._born: dict[Any, float] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._open = 0
        self._closed = False

    def gauges(self) -> dict[str, float]:
        """How many connections there are, and how many wait for one, for metrics."""
        open_, idle = self._open, len(self._idle)
        return {
            "connections_open": open_,
            "connections_used": open_ - idle,
            "connections_limit": self._size,
            "connections_awaited": len(self._waiting),
        }

    async def acquire(self) -> Any:
        """A connection of one's own. Raises StorageUnavailable when none becomes free in time."""
        while self._idle:
            connection, born = self._idle.pop()
            if connection.is_closed():
                self._forget(connection)
            elif self._recycle and time.monotonic() - born > self._recycle:
                self._forget(connection)
                await connection.close(timeout=5)
            else:
                return connection
        if self._open >= self._size:
            await self._wait()
            return await self.acquire()
        self._open += 1
        try:
            connection = await self._connect()
        except BaseException as error:
            self._open -= 1
            if getattr(error, "sqlstate", None) == TOO_MANY and self._open:
                # Ours come back. Nobody is woken: who waits for one would be told the same.
                if not self._idle:
                    await self._wait()
                return await self.acquire()
            self._wake()
            raise
        self._born[connection] = time.monotonic()
        return connection

    async def _wait(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(self._timeout):
                await future
        except TimeoutError:
            raise errors.StorageUnavailable("Every database connection is in use.") from None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._wake()  # the turn that we were given goes to the next one
            raise

    def _wake(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def _forget(self, connection: Any) -> None:
        self._open -= 1
        self._born.pop(connection, None)

    async def release(self, connection: Any) -> None:
        """Give a connection back; one that is broken, or still in a transaction, is thrown away."""
        if connection.is_closed() or connection.is_in_transaction() or self._closed:
            self._forget(connection)
            if not connection.is_closed():
                connection.terminate()
        else:
            self._idle.append((connection, self._born[connection]))
        self._wake()

    async def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            self._forget(connection)
        await asyncio.gather(*(connection.close(timeout=5) for connection, _ in idle), return_exceptions=True)
