"""Statements and units of work pools: making, changing and deleting them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4, uuid7
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID, Timestamp

from . import notices, queues
from .tables import work_pool, worker

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

AGENT_TYPE = "prefect-agent"
"""The type of pools of Prefect 2's agents, which have no status."""

POOL_COLUMNS = list(work_pool.columns)
POOL_FACTS = [column.name for column in POOL_COLUMNS]
NO_STORAGE: dict[str, Any] = {
    "bundle_upload_step": None,
    "bundle_execution_step": None,
    "default_result_storage_block_id": None,
}
_TOLD = ("description", "base_job_template", "concurrency_limit", "storage_configuration")
"""Members whose changes are told by an event."""

_BY_NAME = Statement(sa.select(*POOL_COLUMNS).where(work_pool.c.name == sa.bindparam("pool")))
_BY_ID = Statement(sa.select(*POOL_COLUMNS).where(work_pool.c.id == sa.bindparam("id", type_=UUID())))
_INSERT = Statement(sa.insert(work_pool).values({c.name: sa.bindparam(c.name, type_=c.type) for c in POOL_COLUMNS}))
_SET_DEFAULT_QUEUE = Statement(
    sa.update(work_pool)
    .values(default_queue_id=sa.bindparam("queue_id", type_=UUID()))
    .where(work_pool.c.id == sa.bindparam("pool_id", type_=UUID()))
)
_DELETE = Statement(sa.delete(work_pool).where(work_pool.c.id == sa.bindparam("id", type_=UUID())))
_ONLINE = Statement(
    sa.select(worker.c.id)
    .where(worker.c.work_pool_id == sa.bindparam("pool_id", type_=UUID()), worker.c.status == "ONLINE")
    .limit(1)
)


@lru_cache(256)
def _update(names: tuple[str, ...]) -> Statement:
    values = {name: sa.bindparam(f"new_{name}", type_=work_pool.c[name].type) for name in names}
    return Statement(
        sa.update(work_pool)
        .values({**values, "updated": sa.bindparam("now", type_=Timestamp())})
        .where(work_pool.c.id == sa.bindparam("pool_id", type_=UUID()))
    )


def by_name(pool: str) -> Unit[dict[str, Any] | None]:
    """The pool of that name, or None."""
    rows = yield _BY_NAME(pool=pool)
    return dict(zip(POOL_FACTS, rows[0], strict=True)) if rows else None


def by_id(id: str) -> Unit[dict[str, Any] | None]:
    """The pool with that id, or None."""
    rows = yield _BY_ID(id=id)
    return dict(zip(POOL_FACTS, rows[0], strict=True)) if rows else None


def insert(kernel: Kernel, fields: Mapping[str, Any], now: datetime) -> Unit[dict[str, Any]]:
    """Make a pool with its default queue; the row. The driver raises UniqueViolation for a taken name.

    `fields` are name, description, type, base_job_template, is_paused, concurrency_limit and storage_configuration,
    those that are given. The pool's first status is not told here (see `announce`).
    """
    pool: dict[str, Any] = {
        "description": None,
        "type": AGENT_TYPE,
        "base_job_template": {},
        "is_paused": False,
        "concurrency_limit": None,
        "storage_configuration": NO_STORAGE,
        **fields,
        "id": uuid4(),
        "created": now,
        "updated": now,
        "default_queue_id": None,
        "status": "NOT_READY",
        "last_transitioned_status_at": None,
        "last_status_event_id": None,
    }
    if pool["type"] != AGENT_TYPE and pool["is_paused"]:
        pool["status"] = "PAUSED"
    yield _INSERT.bind(pool)
    default = {"name": "default", "description": "The work pool's default queue."}
    queue = yield from queues.insert(kernel, pool, default, now)
    pool["default_queue_id"] = queue["id"]
    yield _SET_DEFAULT_QUEUE(pool_id=pool["id"], queue_id=queue["id"])
    yield from kernel.events.put(notices.pool_event("created", pool, now))
    return pool


def announce(kernel: Kernel, pool: Mapping[str, Any], now: datetime) -> Unit[None]:
    """Tell the status of a new pool."""
    yield from kernel.events.put(notices.pool_status(pool, pool["status"], now))


def update(
    kernel: Kernel, pool: dict[str, Any], changes: Mapping[str, Any], now: datetime, *, tell: bool = True
) -> Unit[dict[str, Any]]:
    """Change a pool (as it was read) and give it as it is then; without `tell` only a new status is an event."""
    changes = dict(changes)
    if pool["type"] != AGENT_TYPE and changes.get("is_paused") is not None:
        if changes["is_paused"]:
            changes["status"] = "PAUSED"
        else:
            online = yield _ONLINE(pool_id=pool["id"])
            changes["status"] = "READY" if online else "NOT_READY"
    told = {name: (pool[name], changes[name]) for name in changes if name in _TOLD and pool[name] != changes[name]}
    if "status" in changes:
        changes |= {"last_status_event_id": uuid7(), "last_transitioned_status_at": now}
    values = {f"new_{name}": value for name, value in changes.items()}
    yield _update(tuple(sorted(changes))).bind({**values, "pool_id": pool["id"], "now": now})
    new = {**pool, **changes, "updated": now}
    if told and tell:
        yield from kernel.events.put(notices.pool_updated(new, told, now))
    if "status" in changes:
        id = changes["last_status_event_id"]
        yield from kernel.events.put(notices.pool_status(pool, changes["status"], now, id))
    return new


def delete(kernel: Kernel, pool: Mapping[str, Any], now: datetime) -> Unit[None]:
    """Delete a pool with its queues and workers."""
    for queue, its_pool in (yield from queues.of_pool(pool["id"])):
        yield from kernel.events.put(notices.queue_event("deleted", queue, its_pool, now))
    yield from kernel.events.put(notices.pool_event("deleted", pool, now))
    yield _DELETE(id=pool["id"])
