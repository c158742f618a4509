"""What lists of work pools and work queues can be filtered by."""

from __future__ import annotations

from enum import Enum
from uuid import UUID

from prefect_kernel.filtering import AnyLabel, AnyOf, Node, NoLabel, StartsWith

from ..common.filters import times
from .tables import work_pool, work_queue, worker

WorkerStatus = Enum("WorkerStatus", {"ONLINE": "ONLINE", "OFFLINE": "OFFLINE"}, type=str)

WORK_POOL_FILTER = Node(
    "WorkPoolFilter",
    operator=True,
    id=Node(any_=AnyOf(work_pool.c.id, UUID)),
    name=Node(any_=AnyOf(work_pool.c.name)),
    type=Node(any_=AnyOf(work_pool.c.type)),
)

WORK_QUEUE_FILTER = Node(
    "WorkQueueFilter",
    operator=True,
    id=Node(any_=AnyOf(work_queue.c.id, UUID)),
    name=Node(any_=AnyOf(work_queue.c.name), startswith_=StartsWith(work_queue.c.name)),
)

WORKER_FILTER = Node(
    "WorkerFilter",
    operator=True,
    last_heartbeat_time=times(worker.c.last_heartbeat_time),
    status=Node(any_=AnyLabel(worker.c.status, WorkerStatus), not_any_=NoLabel(worker.c.status, WorkerStatus)),
)
