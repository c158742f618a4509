"""SQLite storage: one writer thread with group commit, a few reader threads, point reads on the event loop itself.

Another process may write to the same file too (a second server, Prefect's CLI); being busy is waited for here and never
reaches a client as such: what cannot be had in time is StorageUnavailable, answered as 503 with Retry-After.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from prefect_kernel import errors, hookimpl
from prefect_kernel.ports.storage import StorageDriver
from prefect_kernel.sql import Unit
from prefect_kernel.sql.types import SQLITE

from .connection import connect, drive, translate
from .workers import Job, Reader, Worker, Writer

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStorage:
    """An open SQLite database."""

    dialect = SQLITE

    def __init__(
        self,
        path: str,
        *,
        synchronous: str = "normal",
        readers: int = 2,
        busy_timeout: float = 5.0,
        queue_size: int = 1000,
    ) -> None:
        """`queue_size` is how many writes may wait before further ones are refused."""
        self.path, self.url = path, f"sqlite:///{path}"
        self.in_memory = ":memory:" in path or "mode=memory" in path
        self._queue_size, self._pending = queue_size, 0
        self._writes: SimpleQueue[Job | None] = SimpleQueue()
        self._reads: SimpleQueue[Job | None] = SimpleQueue()
        uri = path
        if not path.startswith("file:") and not self.in_memory:
            uri = "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")

        def opener(cache_kib: int, read_only: bool) -> Callable[[], sqlite3.Connection]:
            return lambda: connect(
                uri, synchronous=synchronous, busy_timeout=busy_timeout, cache_kib=cache_kib, read_only=read_only
            )

        self._open_inline = opener(4_000, True)
        self._inline: sqlite3.Connection | None = None
        self.open_writer = opener(16_000, False)
        if self.in_memory:  # a private in-memory database exists on one connection only: everybody gets that
            connection = self.open_writer()
            self.open_writer = lambda: connection
        writer = Writer("sqlite-writer", self._writes, self.open_writer, lock_timeout=busy_timeout)
        self._threads: list[Worker] = [writer]
        if not self.in_memory:
            self._threads += [Reader(f"sqlite-reader-{i}", self._reads, opener(8_000, True)) for i in range(readers)]

    def start(self) -> None:
        """Start the threads; the file must exist with its schema."""
        for thread in self._threads:
            thread.start()
        if not self.in_memory:
            self._inline = self._open_inline()
            self._inline.execute("PRAGMA busy_timeout=0")  # from now on: while it waits, the event loop stands still

    async def stop(self) -> None:
        """Let queued units finish, then close every connection."""
        self._writes.put(None)
        for _ in self._threads[1:]:
            self._reads.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        if self._inline is not None:
            self._inline.close()

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._inline is not None and getattr(unit, "point_read", False):
            try:
                value: T = drive(self._inline, unit(*args, **kwargs))
                return value
            except sqlite3.OperationalError as error:
                if not isinstance(translate(error), errors.StorageUnavailable):
                    raise translate(error) from error  # else a reader thread may wait for the lock
            except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
                raise translate(error) from error
        return await self._submit(self._writes if self.in_memory else self._reads, unit, args, kwargs)

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._pending >= self._queue_size:
            raise errors.StorageUnavailable("The queue of writes is full.")
        self._pending += 1
        try:
            return await self._submit(self._writes, unit, args, kwargs)
        finally:
            self._pending -= 1

    def gauges(self) -> dict[str, float]:
        """How many units wait, for metrics."""
        return {"writes_pending": self._pending, "reads_waiting": self._reads.qsize()}

    async def _submit(self, queue: SimpleQueue[Job | None], unit: Any, args: Any, kwargs: Any) -> Any:
        future = asyncio.get_running_loop().create_future()
        start = (lambda: unit(*args, **kwargs)) if args or kwargs else unit
        queue.put(Job(start, future))
        return await future

    async def ping(self) -> None:
        if self._inline is None:
            return
        try:
            self._inline.execute("SELECT 1 FROM alembic_version").fetchone()
        except sqlite3.Error as error:
            raise errors.StorageUnavailable(str(error)) from error

    @property
    def database(self) -> Any:
        from .database import database_for  # imports `databases`, which most servers never need

        return database_for(self)


def storage_of(url: str, settings: Any) -> SqliteStorage:
    """The storage of a `sqlite…` URL, not yet started."""
    path = url.split("///", 1)[1] if "///" in url else ":memory:"
    kernel = settings.kernel
    return SqliteStorage(
        path or ":memory:",
        synchronous=kernel.sqlite_synchronous,
        readers=kernel.sqlite_readers,
        busy_timeout=settings.server.database.timeout or 10.0,
        queue_size=kernel.write_queue_size,
    )


@asynccontextmanager
async def open_sqlite(url: str, settings: Any) -> AsyncIterator[SqliteStorage]:
    """Open (and, where settings say so, create or upgrade) the database of a `sqlite…` URL."""
    from ..schema.sqlite import prepare

    storage = storage_of(url, settings)
    await prepare(storage, settings)
    storage.start()
    try:
        yield storage
    finally:
        await storage.stop()


async def manage(action: Any, settings: Any) -> str:
    """Upgrade, stamp or check the database of the settings."""
    from ..schema.commands import run

    return await run(action, settings)


@hookimpl
def kernel_storages() -> Iterable[StorageDriver]:
    return [StorageDriver("sqlite", ("sqlite", "sqlite+aiosqlite"), open_sqlite, manage, shared=False)]
