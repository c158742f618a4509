"""Background tasks waiting for a task worker.

The database holds the truth: a deferred run is SCHEDULED there before its creation is answered. The queues only say,
in this process, which of them to hand out next; when a worker first asks for a key after a start, or after a queue was
full, they are filled again from the database, so a restart forgets none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit, in_list, json_value
from prefect_kernel.sql.types import POSTGRESQL
from prefect_kernel.stash import StashKey

from .tables import task_run, task_run_state

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_WAITING = Statement(
    sa.select(task_run.c.id, task_run.c.task_key)
    .select_from(task_run.join(task_run_state, task_run_state.c.id == task_run.c.state_id))
    .where(
        task_run.c.state_type == "SCHEDULED",
        in_list(task_run.c.task_key, "keys"),
        json_value(task_run_state.c.state_details, "deferred") == sa.bindparam("true"),
    )
    .order_by(task_run.c.expected_start_time)
    .limit(sa.bindparam("count", type_=sa.Integer()))
)
"""Deferred runs that nobody has taken."""


def waiting(dialect: str, keys: list[str], count: int) -> Unit[list[tuple[str, str]]]:
    """(id, task key) of the longest waiting deferred runs."""
    rows: list[tuple[str, str]] = yield _WAITING(keys=keys, count=count, true="true" if dialect == POSTGRESQL else True)
    return rows


class TaskQueues:
    """One bounded queue per task key, and a shorter one for runs that come back."""

    def __init__(self, kernel: Kernel) -> None:
        scheduling = kernel.settings.server.tasks.scheduling
        self._kernel = kernel
        self._limit = scheduling.max_scheduled_queue_size + scheduling.max_retry_queue_size
        self._queues: dict[str, deque[str]] = {}
        self._known: dict[str, set[str]] = {}
        self._stale: dict[str, bool] = {}
        self._arrived = asyncio.Condition()
        self._wake_tasks: set[asyncio.Task[None]] = set()

    def put(self, key: str, run_id: str, *, first: bool = False) -> None:
        """Queue a run; `first` for one that comes back. A full queue is filled from the database later."""
        queue, known = self._queues.setdefault(key, deque()), self._known.setdefault(key, set())
        if run_id in known:
            return
        if len(queue) >= self._limit:
            self._stale[key] = True
            return
        known.add(run_id)
        if first:
            queue.appendleft(run_id)
        else:
            queue.append(run_id)
        task = asyncio.get_running_loop().create_task(self._wake())
        self._wake_tasks.add(task)
        task.add_done_callback(self._wake_tasks.discard)

    async def _wake(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()

    async def restore(self, keys: list[str]) -> None:
        """Fill queues from the database, where this process has not done so yet or had to leave runs out."""
        missing = [key for key in keys if self._stale.get(key, True) and not self._queues.get(key)]
        if missing:
            for key in missing:
                self._stale[key] = False
            rows = await self._kernel.storage.read(waiting, self._kernel.storage.dialect, missing, self._limit)
            for run_id, key in rows:
                self.put(key, run_id)

    def take(self, keys: list[str]) -> tuple[str, str] | None:
        """(key, run id) of the next run of any of these keys."""
        for key in keys:
            queue = self._queues.get(key)
            if queue:
                run_id = queue.popleft()
                self._known[key].discard(run_id)
                return key, run_id
        return None

    async def next(self, keys: list[str], seconds: float) -> tuple[str, str] | None:
        """As `take`, waiting up to `seconds` for one to arrive."""
        found = self.take(keys)
        if found is not None:
            return found
        try:
            async with asyncio.timeout(seconds), self._arrived:
                await self._arrived.wait()
        except TimeoutError:
            return None
        return self.take(keys)


QUEUES = StashKey[TaskQueues]("the queues of background tasks")


@asynccontextmanager
async def task_queues(kernel: Kernel) -> AsyncIterator[None]:
    """Lifespan: `kernel.stash[QUEUES]` exists inside."""
    kernel.stash[QUEUES] = TaskQueues(kernel)
    yield
