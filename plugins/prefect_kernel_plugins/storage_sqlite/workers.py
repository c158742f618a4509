"""The threads that own SQLite connections.

A whole unit runs in one hop to a thread, because on SQLite hops cost far more than statements. All writes go through
one thread, which takes what is waiting into a single transaction (group commit): each unit has its own SAVEPOINT and is
acknowledged only after the COMMIT. A crash before the COMMIT leaves nothing of any unit, one after it everything.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from prefect_kernel import errors

from .connection import Start, drive, error_name, translate

MAX_BATCH = 64
"""Units in one COMMIT: bounds how long the first of them waits for the last."""

MAX_ATTEMPTS = 10
"""How often a unit that lost a race, or met another process's lock, is run again."""


class Job:
    """A unit waiting for a thread, and the future that its value goes to."""

    __slots__ = ("error", "future", "start", "value")

    def __init__(self, start: Start, future: asyncio.Future[Any]) -> None:
        self.start, self.future = start, future
        self.value: Any = None
        self.error: Exception | None = None


def _deliver(jobs: list[Job]) -> None:
    for job in jobs:
        if not job.future.done():  # the caller may have gone away
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.value)


class Worker(threading.Thread):
    """A thread that takes jobs from a queue; subclasses say how to run them."""

    def __init__(self, name: str, queue: SimpleQueue[Job | None], open_: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(name=name, daemon=True)
        self.queue, self._open = queue, open_
        self.connection: sqlite3.Connection

    def run(self) -> None:
        self.connection = self._open()
        try:
            while (job := self.queue.get()) is not None:
                loop = job.future.get_loop()
                done = self.work(job)
                try:
                    loop.call_soon_threadsafe(_deliver, done)
                except RuntimeError:  # the loop was closed while we worked: nobody waits any more
                    break
        finally:
            self.connection.close()

    def work(self, job: Job) -> list[Job]:
        raise NotImplementedError


class Reader(Worker):
    """Runs read units, each on one snapshot."""

    def work(self, job: Job) -> list[Job]:
        try:
            self.connection.execute("BEGIN")
            try:
                job.value = drive(self.connection, job.start())
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - it is raised where the unit was asked for
            job.error = translate(error)
        return [job]


class Writer(Worker):
    """Runs write units, as many as are waiting in one transaction."""

    def __init__(self, *args: Any, lock_timeout: float) -> None:
        super().__init__(*args)
        self.lock_timeout = lock_timeout

    def work(self, job: Job) -> list[Job]:
        batch = [job]
        while len(batch) < MAX_BATCH:
            try:
                following = self.queue.get_nowait()
            except Empty:
                break
            if following is None:  # stop after this batch
                self.queue.put(None)
                break
            batch.append(following)
        if len(batch) == 1 or not self._together(batch):
            for single in batch:
                self._alone(single)
        return batch

    def _begin(self) -> None:
        """Take the write lock, waiting at most `lock_timeout` seconds for other processes."""
        deadline = time.monotonic() + self.lock_timeout
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error_name(error) not in ("SQLITE_BUSY", "SQLITE_LOCKED") or time.monotonic() > deadline:
                    raise

    def _rollback(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _alone(self, job: Job) -> None:
        for attempt in range(MAX_ATTEMPTS):
            try:
                self._begin()
                job.value = drive(self.connection, job.start())
                self.connection.execute("COMMIT")
                job.error = None
                return
            except errors.Raced as error:
                self._rollback()
                job.error = error
            except Exception as error:  # noqa: BLE001 - the same
                self._rollback()
                job.error = translate(error)
                busy = isinstance(error, sqlite3.OperationalError) and error_name(error) == "SQLITE_BUSY"
                if not busy or attempt:  # busy after BEGIN IMMEDIATE is a checkpoint or a recovery: once more
                    return

    def _together(self, batch: list[Job]) -> bool:
        """Run a batch in one transaction; False when nothing of it was committed and each must run alone."""
        execute = self.connection.execute
        try:
            self._begin()
            for job in batch:
                execute("SAVEPOINT unit")
                try:
                    job.value = drive(self.connection, job.start())
                    job.error = None
                except errors.Raced:
                    self._rollback()
                    return False
                except Exception as error:  # noqa: BLE001 - the same
                    job.error = translate(error)
                    if not self.connection.in_transaction:  # SQLite has rolled everything back (disk full, …)
                        return False
                    execute("ROLLBACK TO unit")
                execute("RELEASE unit")
            execute("COMMIT")
        except sqlite3.Error:
            self._rollback()
            return False
        return True
