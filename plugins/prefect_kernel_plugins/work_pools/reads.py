"""Reading pools, queues and workers for the wire."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.filtering import Node, Shape
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import UUID
from prefect_kernel.wire import Wire

from .filters import WORK_POOL_FILTER, WORK_QUEUE_FILTER, WORKER_FILTER
from .tables import work_pool, work_queue, worker
from .wire import HOLDING, POOL_COLUMNS, QUEUE_FROM, WORKER_COLUMNS, queue_columns

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

QUEUE_COLUMNS = queue_columns(HOLDING)

_POOL = Statement(sa.select(*POOL_COLUMNS).where(work_pool.c.name == sa.bindparam("pool")), raw=True)
_POOL_ID = Statement(sa.select(work_pool.c.id).where(work_pool.c.name == sa.bindparam("pool")))
_QUEUE = Statement(
    sa.select(*QUEUE_COLUMNS)
    .select_from(QUEUE_FROM)
    .where(work_pool.c.name == sa.bindparam("pool"), work_queue.c.name == sa.bindparam("queue")),
    raw=True,
)
_QUEUE_BY_ID = Statement(
    sa.select(*QUEUE_COLUMNS).select_from(QUEUE_FROM).where(work_queue.c.id == sa.bindparam("id", type_=UUID())),
    raw=True,
)
_POOL_BY_ID = Statement(sa.select(*POOL_COLUMNS).where(work_pool.c.id == sa.bindparam("id", type_=UUID())), raw=True)


def no_pool(name: str) -> errors.NotFound:
    """The answer for a pool that is not there."""
    return errors.NotFound(f'Work pool "{name}" not found.')


def no_queue(pool: str, queue: str) -> errors.NotFound:
    """The answer for a queue that is not there."""
    return errors.NotFound(f"Work pool queue '{pool}/{queue}' not found.")


@point_read
def pool_row(name: str) -> Unit[Any]:
    """The raw row of a pool. Raises NotFound."""
    rows = yield _POOL(pool=name)
    if not rows:
        raise no_pool(name)
    return rows[0]


def pool_row_by_id(id: str) -> Unit[Any]:
    """The raw row of a pool, or None."""
    rows = yield _POOL_BY_ID(id=id)
    return rows[0] if rows else None


def pool_id(name: str) -> Unit[str]:
    """The id of a pool. Raises NotFound."""
    rows = yield _POOL_ID(pool=name)
    if not rows:
        raise no_pool(name)
    id: str = rows[0][0]
    return id


@point_read
def queue_row(pool: str, queue: str) -> Unit[Any]:
    """The raw row of a queue. Raises NotFound."""
    rows = yield _QUEUE(pool=pool, queue=queue)
    if not rows:
        raise no_queue(pool, queue)
    return rows[0]


def queue_row_by_id(id: str) -> Unit[Any]:
    """The raw row of a queue, which is there."""
    rows = yield _QUEUE_BY_ID(id=id)
    return rows[0]


def condition(node: Node, shape: Shape | None) -> list[sa.ColumnElement[bool]]:
    """The conditions of a filter's shape (None: no filter)."""
    clause = None if shape is None else node.clause(shape)
    return [] if clause is None else [clause]


def take(node: Node, given: Any, params: dict[str, Any]) -> Shape | None:
    """The shape of a filter that may be absent."""
    return None if given is None else node.take(given, params)


def _page(select: sa.Select[Any]) -> Statement:
    limit, offset = sa.bindparam("limit", type_=sa.Integer()), sa.bindparam("offset", type_=sa.Integer())
    return Statement(select.limit(limit).offset(offset), raw=True)


@lru_cache(128)
def pools_page(shape: Shape | None) -> Statement:
    """One page of pools by name."""
    where = condition(WORK_POOL_FILTER, shape)
    return _page(sa.select(*POOL_COLUMNS).where(*where).order_by(work_pool.c.name))


@lru_cache(128)
def pools_count(shape: Shape | None) -> Statement:
    """The number of pools."""
    where = condition(WORK_POOL_FILTER, shape)
    return Statement(sa.select(sa.func.count()).select_from(work_pool).where(*where), raw=True)


@lru_cache(128)
def queues_page(shape: Shape | None) -> Statement:
    """One page of the queues of a pool (`pool_id`) by priority."""
    mine = work_queue.c.work_pool_id == sa.bindparam("pool_id", type_=UUID())
    where = condition(WORK_QUEUE_FILTER, shape)
    return _page(sa.select(*QUEUE_COLUMNS).select_from(QUEUE_FROM).where(mine, *where).order_by(work_queue.c.priority))


@lru_cache(128)
def workers_page(shape: Shape | None) -> Statement:
    """One page of the workers of a pool (`pool_id`), the last to give a sign of life first."""
    mine = worker.c.work_pool_id == sa.bindparam("pool_id", type_=UUID())
    where = condition(WORKER_FILTER, shape)
    return _page(sa.select(*WORKER_COLUMNS).where(mine, *where).order_by(worker.c.last_heartbeat_time.desc()))


def of_pool(kernel: Kernel, name: str, wire: Wire, statement: Statement, params: dict[str, Any]) -> Unit[bytes]:
    """A page of what belongs to a pool, as JSON. Raises NotFound."""
    id = yield from pool_id(name)
    rows: Sequence[Any] = yield statement.bind({**params, "pool_id": id})
    return wire.many(kernel.storage.dialect, rows)
