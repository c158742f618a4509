"""Finding the queue that deployments and runs name, and making it where it does not exist yet.

All are units for the transaction of their caller, who calls `kernel.events.committed()` after it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Statement, Unit

from ..common.fields import BANNED
from . import pools, queues
from .tables import work_pool, work_queue

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

DEFAULT_AGENT_POOL = "default-agent-pool"
"""The pool of queues for which no pool is named; made when it is first needed."""

_POOL = Statement(
    sa.select(work_pool.c.id, work_pool.c.name, work_pool.c.type, work_pool.c.default_queue_id).where(
        work_pool.c.name == sa.bindparam("pool")
    )
)
_QUEUE = Statement(
    sa.select(work_queue.c.id)
    .select_from(work_queue.join(work_pool, work_pool.c.id == work_queue.c.work_pool_id))
    .where(work_pool.c.name == sa.bindparam("pool"), work_queue.c.name == sa.bindparam("queue"))
)
_ANY_QUEUE = Statement(sa.select(work_queue.c.id).where(work_queue.c.name == sa.bindparam("queue")).limit(1))


def _pool(name: str) -> Unit[dict[str, Any] | None]:
    rows = yield _POOL(pool=name)
    return dict(zip(("id", "name", "type", "default_queue_id"), rows[0], strict=True)) if rows else None


def default_queue_id(pool: str) -> Unit[str | None]:
    """The id of the default queue of the pool of that name. Raises NotFound."""
    found = yield from _pool(pool)
    if found is None:
        raise errors.NotFound(f'Work pool "{pool}" not found.')
    id: str | None = found["default_queue_id"]
    return id


def queue_id(pool: str, queue: str) -> Unit[str]:
    """The id of a queue by the names of its pool and its own. Raises NotFound."""
    rows = yield _QUEUE(pool=pool, queue=queue)
    if not rows:
        raise errors.NotFound(f"Work pool queue '{pool}/{queue}' not found.")
    id: str = rows[0][0]
    return id


def _need_name(name: str) -> None:
    """Raises Unprocessable for a name that does not fit into a path (an internal error of Python Prefect)."""
    if not name or any(letter in BANNED for letter in name):
        raise errors.Unprocessable(f"A work queue cannot be named {name!r}.")


def get_or_create_queue(kernel: Kernel, pool: str, queue: str, now: datetime) -> Unit[str]:
    """The id of the queue of that name in the pool of that name; made if need be. Raises NotFound for the pool."""
    rows = yield _QUEUE(pool=pool, queue=queue)
    if rows:
        id: str = rows[0][0]
        return id
    found = yield from _pool(pool)
    if found is None:
        raise errors.NotFound(f'Work pool "{pool}" not found.')
    _need_name(queue)
    made = yield from queues.insert(kernel, found, {"name": queue}, now)
    new: str = made["id"]
    return new


def agent_pool(kernel: Kernel, now: datetime) -> Unit[tuple[dict[str, Any], bool]]:
    """The pool of queues without a pool, and whether it was made just now."""
    found = yield from _pool(DEFAULT_AGENT_POOL)
    if found is not None:
        return found, False
    return (yield from pools.insert(kernel, {"name": DEFAULT_AGENT_POOL}, now)), True


def named_queue_id(name: str) -> Unit[str | None]:
    """The id of the queue of that name in the agents' pool; of any pool's where there is none. None for no queue."""
    rows = yield _QUEUE(pool=DEFAULT_AGENT_POOL, queue=name)
    if not rows and (yield from _pool(DEFAULT_AGENT_POOL)) is None:
        rows = yield _ANY_QUEUE(queue=name)
    id: str | None = rows[0][0] if rows else None
    return id


def ensure_queue(kernel: Kernel, name: str, now: datetime) -> Unit[str]:
    """The id that `named_queue_id` gives, or of a new queue of the agents' pool, with priority 1; made if need be."""
    id = yield from named_queue_id(name)
    if id is not None:
        return id
    _need_name(name)
    pool, _ = yield from agent_pool(kernel, now)
    if name == "default":
        default: str = pool["default_queue_id"]
        return default
    made = yield from queues.insert(kernel, pool, {"name": name, "priority": 1}, now)
    new: str = made["id"]
    return new


__all__ = ["agent_pool", "default_queue_id", "ensure_queue", "get_or_create_queue", "named_queue_id", "queue_id"]
