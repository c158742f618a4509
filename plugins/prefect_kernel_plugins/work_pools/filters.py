"""What lists of work pools and work queues can be filtered by."""

from __future__ import annotations

from uuid import UUID

from prefect_kernel.filtering import AnyOf, Node, StartsWith

from .tables import work_pool, work_queue

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
