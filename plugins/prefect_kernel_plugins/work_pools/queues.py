"""Statements and units of work queues: making, changing and deleting them, and the order of their priorities.

Within a pool, priorities are different whole numbers from 1 on, the smallest served first. Where one is given that is
taken, the queues behind it move up, no more of them than must.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID, Timestamp

from . import notices
from .tables import work_pool, work_queue

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

QUEUE_COLUMNS = [
    work_queue.c[name]
    for name in (
        "id created updated name description is_paused concurrency_limit priority work_pool_id filter last_polled"
        " status"
    ).split()
]
QUEUE_FACTS = [column.name for column in QUEUE_COLUMNS]
POOL_NAMES = ("id", "name", "type")
"""What a queue's events tell of its pool."""

RECENT = timedelta(seconds=60)
"""A queue that was polled within this time is READY when it goes on."""

_FACTS = [*QUEUE_COLUMNS, *(work_pool.c[name] for name in POOL_NAMES)]
_FROM = work_queue.join(work_pool, work_pool.c.id == work_queue.c.work_pool_id)
_BY_ID = Statement(sa.select(*_FACTS).select_from(_FROM).where(work_queue.c.id == sa.bindparam("id", type_=UUID())))
_BY_NAME = Statement(
    sa.select(*_FACTS)
    .select_from(_FROM)
    .where(work_pool.c.name == sa.bindparam("pool"), work_queue.c.name == sa.bindparam("queue"))
)
_OF_POOL = Statement(
    sa.select(*_FACTS)
    .select_from(_FROM)
    .where(work_queue.c.work_pool_id == sa.bindparam("pool_id", type_=UUID()))
    .order_by(work_queue.c.priority)
)
_PRIORITIES = Statement(
    sa.select(work_queue.c.id, work_queue.c.priority)
    .where(work_queue.c.work_pool_id == sa.bindparam("pool_id", type_=UUID()))
    .order_by(work_queue.c.priority)
)
_INSERT = Statement(sa.insert(work_queue).values({c.name: sa.bindparam(c.name, type_=c.type) for c in QUEUE_COLUMNS}))
_SET_PRIORITY = Statement(
    sa.update(work_queue)
    .values(priority=sa.bindparam("new"), updated=sa.bindparam("now", type_=Timestamp()))
    .where(work_queue.c.id == sa.bindparam("queue_id", type_=UUID()))
)
_DELETE = Statement(sa.delete(work_queue).where(work_queue.c.id == sa.bindparam("id", type_=UUID())))
_TOLD = ("name", "description", "concurrency_limit", "priority")
"""Members whose changes are told by an event."""


@lru_cache(256)
def _update(names: tuple[str, ...]) -> Statement:
    values = {name: sa.bindparam(f"new_{name}", type_=work_queue.c[name].type) for name in names}
    return Statement(
        sa.update(work_queue)
        .values({**values, "updated": sa.bindparam("now", type_=Timestamp())})
        .where(work_queue.c.id == sa.bindparam("queue_id", type_=UUID()))
    )


def _split(row: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    queue = dict(zip(QUEUE_FACTS, row, strict=False))
    return queue, dict(zip(POOL_NAMES, row[len(QUEUE_FACTS) :], strict=True))


def by_id(id: str) -> Unit[tuple[dict[str, Any], dict[str, Any]] | None]:
    """A queue and its pool; None when there is no such queue."""
    rows = yield _BY_ID(id=id)
    return _split(rows[0]) if rows else None


def by_name(pool: str, queue: str) -> Unit[tuple[dict[str, Any], dict[str, Any]] | None]:
    """The queue of that name in the pool of that name, and the pool; None when there is no such queue."""
    rows = yield _BY_NAME(pool=pool, queue=queue)
    return _split(rows[0]) if rows else None


def of_pool(pool_id: str) -> Unit[list[tuple[dict[str, Any], dict[str, Any]]]]:
    """All queues of a pool by priority, each with the pool."""
    rows = yield _OF_POOL(pool_id=pool_id)
    return [_split(row) for row in rows]


def free_priority(taken: Iterable[int]) -> int:
    """The first priority that no queue has."""
    priority = 1
    for one in sorted(taken):
        if one != priority:
            break
        priority += 1
    return priority


def moved(queues: list[tuple[str, int]], wanted: tuple[str, int] | None = None) -> dict[str, int]:
    """The priorities that change when one queue (id, priority) is `wanted` at its place; `queues` are sorted."""
    line = [one for one in queues if wanted is None or one[0] != wanted[0]]
    if wanted is not None:
        behind = next((i for i, one in enumerate(line) if one[1] >= wanted[1]), None)
        if behind is not None:
            line.insert(behind, wanted)
    old, last, changed = dict(queues), 0, {}
    for id, priority in line:
        last = priority if priority > last else last + 1
        if old[id] != last:
            changed[id] = last
    return changed


def arrange(pool_id: str, now: datetime, wanted: tuple[str, int] | None = None) -> Unit[None]:
    """Make the priorities of a pool's queues differ, with one queue (already stored so) at a `wanted` priority."""
    rows = yield _PRIORITIES(pool_id=pool_id)
    changed = moved([(row[0], row[1]) for row in rows], wanted)
    if changed:
        yield _SET_PRIORITY.many([{"queue_id": id, "new": new, "now": now} for id, new in changed.items()])


def insert(kernel: Kernel, pool: Mapping[str, Any], fields: Mapping[str, Any], now: datetime) -> Unit[dict[str, Any]]:
    """Make a queue in a pool (`id`, `name`, `type`); the row. The driver raises UniqueViolation for a taken name.

    `fields` are name, description, is_paused, concurrency_limit, priority and filter, those that are given.
    """
    wanted = fields.get("priority")
    if wanted is None:
        rows = yield _PRIORITIES(pool_id=pool["id"])
        priority = free_priority(row[1] for row in rows)
    else:
        priority = wanted
    row: dict[str, Any] = {
        "description": "",
        "is_paused": False,
        "concurrency_limit": None,
        "filter": None,
        **fields,
        "id": uuid4(),
        "created": now,
        "updated": now,
        "priority": priority,
        "work_pool_id": pool["id"],
        "last_polled": None,
        "status": "NOT_READY",
    }
    yield _INSERT.bind(row)
    if wanted:
        yield from arrange(pool["id"], now, (row["id"], wanted))
    yield from kernel.events.put(notices.queue_event("created", row, pool, now))
    return row


def update(
    kernel: Kernel,
    queue: dict[str, Any],
    pool: Mapping[str, Any],
    changes: Mapping[str, Any],
    now: datetime,
    *,
    shift: bool,
) -> Unit[None]:
    """Change a queue (as it was read); `shift` makes room for a new priority."""
    changes = dict(changes)
    if "is_paused" in changes:
        if changes["is_paused"] and queue["status"] != "PAUSED":
            changes["status"] = "PAUSED"
        elif changes["is_paused"] is False and queue["status"] == "PAUSED":
            polled = changes.get("last_polled", queue["last_polled"])
            recent = polled is not None and now - polled <= RECENT
            changes["status"] = "READY" if recent else "NOT_READY"
    values = {f"new_{name}": value for name, value in changes.items()}
    yield _update(tuple(sorted(changes))).bind({**values, "queue_id": queue["id"], "now": now})
    new = {**queue, **changes}
    told = {name: (queue[name], new[name]) for name in changes if name in _TOLD and queue[name] != new[name]}
    if told:
        yield from kernel.events.put(notices.queue_updated(new, pool, told, now))
    if shift and "priority" in changes:
        yield from arrange(queue["work_pool_id"], now, (queue["id"], changes["priority"]))
    if "status" in changes:
        yield from kernel.events.put(notices.queue_event(changes["status"], new, pool, now))


def delete(
    kernel: Kernel, queue: Mapping[str, Any], pool: Mapping[str, Any], now: datetime, *, shift: bool
) -> Unit[None]:
    """Delete a queue. The driver raises IntegrityViolation for the default queue of a pool."""
    yield _DELETE(id=queue["id"])
    yield from kernel.events.put(notices.queue_event("deleted", queue, pool, now))
    if shift:
        yield from arrange(queue["work_pool_id"], now)
