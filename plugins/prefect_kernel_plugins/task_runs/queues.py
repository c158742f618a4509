"""Background tasks waiting for a task worker.

The database holds the truth: a deferred run is SCHEDULED there before its creation is answered. The queues only say, in
this process, which of them to hand out next. They are filled from the database too: after a start, after a queue was
full, and while workers wait. Other server processes are told of a new run over the broker; which of them hands it out
is decided by who claims it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prefect_kernel.ids import uuid4
from prefect_kernel.ports.broker import Missed
from prefect_kernel.stash import StashKey

from . import claims
from .wire import TASK_RUN_WIRE

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

TOPIC = "background-tasks"
"""Messages say which run waits, and who has queued it already."""

LOOK_AGAIN = timedelta(seconds=1)
"""How often an empty queue is filled from the database while workers wait for it."""

CLEAN_EVERY = 1000
"""How many runs are handed out between two removals of old claims."""


class _Queue:
    """The waiting runs of one task key; those that come back go first."""

    def __init__(self) -> None:
        self.returned: deque[str] = deque()
        self.scheduled: deque[str] = deque()
        self.known: set[str] = set()
        self.looked: datetime | None = None
        """When it was last filled from the database."""

    def take(self) -> str | None:
        """The next run."""
        queue = self.returned or self.scheduled
        if not queue:
            return None
        run_id = queue.popleft()
        self.known.discard(run_id)
        return run_id


class TaskQueues:
    """Queues by task key."""

    def __init__(self, kernel: Kernel) -> None:
        scheduling = kernel.settings.server.tasks.scheduling
        self._kernel = kernel
        self._limit = scheduling.max_scheduled_queue_size + scheduling.max_retry_queue_size
        self._queues: defaultdict[str, _Queue] = defaultdict(_Queue)
        self._acknowledged = 0
        self._arrived = asyncio.Condition()
        self._wake_tasks: set[asyncio.Task[None]] = set()
        self._id = uuid4()
        self._served: Counter[str] = Counter()
        self._hearing: asyncio.Task[None] | None = None

    @property
    def size(self) -> int:
        """How many runs wait, for metrics."""
        return sum(len(queue.known) for queue in self._queues.values())

    def put(self, key: str, run_id: str, *, first: bool = False) -> None:
        """Queue a run; `first` for one that comes back. A full queue is filled from the database later."""
        queue = self._queues[key]
        if run_id in queue.known or len(queue.known) >= self._limit:
            return
        queue.known.add(run_id)
        (queue.returned if first else queue.scheduled).append(run_id)
        task = asyncio.get_running_loop().create_task(self._wake())
        self._wake_tasks.add(task)
        task.add_done_callback(self._wake_tasks.discard)

    async def announce(self, key: str, run_id: str, *, first: bool = False) -> None:
        """As `put`, here and in the other server processes whose workers wait for it."""
        self.put(key, run_id, first=first)
        await self._kernel.broker.publish(TOPIC, {"by": self._id, "key": key, "run": run_id, "first": first})

    @asynccontextmanager
    async def serving(self, keys: list[str]) -> AsyncIterator[None]:
        """While a worker waits for runs of these keys, hear of those that other server processes take in."""
        self._served.update(keys)
        if self._hearing is None:
            self._hearing = asyncio.create_task(self._hear(), name="background tasks of other servers")
        try:
            yield
        finally:
            self._served.subtract(keys)
            self._served = +self._served
            for key in keys:  # a worker may bring as many as it likes: they go with it
                if key not in self._served and key in self._queues and not self._queues[key].known:
                    del self._queues[key]
            if not self._served:
                self._hearing.cancel()
                self._hearing = None

    async def _hear(self) -> None:
        async with self._kernel.broker.subscribe(TOPIC, gaps=True) as messages:
            async for message in messages:
                if isinstance(message, Missed):
                    for queue in self._queues.values():
                        queue.looked = None
                    await self._wake()
                elif message["by"] != self._id and message["key"] in self._served:
                    self.put(message["key"], message["run"], first=message["first"])

    async def _wake(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()

    async def fill(self, keys: list[str]) -> None:
        """Fill those of the queues that are empty from the database, now and then."""
        now, storage = self._kernel.clock.now(), self._kernel.storage
        empty = []
        for key in keys:
            queue = self._queues[key]
            if not queue.known and (queue.looked is None or now - queue.looked >= LOOK_AGAIN):
                queue.looked = now
                empty.append(key)
        if empty:
            for run_id, key in await storage.read(claims.waiting, storage.dialect, empty, self._limit, now):
                self.put(key, run_id)

    async def claim(self, run_id: str) -> tuple[str, bytes] | None:
        """Claim a run for a worker: the claim's token, and the run as JSON; None when it is no longer to be had."""
        storage, now = self._kernel.storage, self._kernel.clock.now()
        found = await storage.write(claims.claim, run_id, now)
        return None if found is None else (found[0], TASK_RUN_WIRE.one(storage.dialect, found[1], now))

    async def renew(self, run_id: str, token: str) -> bool:
        """Keep a claim while its worker has yet to acknowledge it; False when it is somebody else's by now."""
        return await self._kernel.storage.write(claims.renew, run_id, token, self._kernel.clock.now())

    async def release(self, key: str, run_id: str, token: str) -> None:
        """Have a claimed run wait again: the worker did not acknowledge it. What is somebody else's stays theirs."""
        if await self._kernel.storage.write(claims.release, run_id, token):
            self.put(key, run_id, first=True)

    async def acknowledge(self, run_id: str, token: str) -> bool:
        """The worker has taken a claimed run; False when somebody else has claimed it meanwhile."""
        write = self._kernel.storage.write
        mine = await write(claims.acknowledge, run_id, token)
        self._acknowledged += 1
        if self._acknowledged % CLEAN_EVERY == 1:
            await write(claims.forget)
        return mine

    def take(self, keys: list[str]) -> tuple[str, str] | None:
        """(key, run id) of the next run of any of these keys, in their order."""
        for key in keys:
            run_id = self._queues[key].take()
            if run_id is not None:
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
