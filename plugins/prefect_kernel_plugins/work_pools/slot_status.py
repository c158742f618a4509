"""Which runs hold the slots of pools and queues."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.types import UUID

from ..flow_runs.tables import flow_run
from .tables import work_pool, work_queue
from .wire import HOLDING, HOLDING_OR_CANCELLING

SUMMARY = [flow_run.c[name] for name in "id name state_type state_name start_time state_timestamp".split()]
_POOL = Statement(
    sa.select(work_pool.c.id, work_pool.c.concurrency_limit).where(work_pool.c.name == sa.bindparam("pool"))
)
_held = (
    sa.select(sa.func.count())
    .select_from(flow_run)
    .where(flow_run.c.work_queue_id == work_queue.c.id, flow_run.c.state_type.in_(HOLDING))
    .scalar_subquery()
)
_QUEUES = Statement(
    sa.select(work_queue.c.id, work_queue.c.name, work_queue.c.concurrency_limit, _held)
    .where(work_queue.c.work_pool_id == sa.bindparam("pool_id", type_=UUID()))
    .order_by(work_queue.c.priority)
)
_numbered = (
    sa.select(
        *SUMMARY,
        flow_run.c.work_queue_id,
        sa.func.row_number().over(partition_by=flow_run.c.work_queue_id, order_by=flow_run.c.id).label("place"),
    )
    .where(in_list(flow_run.c.work_queue_id, "queue_ids"), flow_run.c.state_type.in_(HOLDING))
    .subquery("numbered")
)
_HOLDERS = Statement(
    sa.select(_numbered.c.work_queue_id, *(_numbered.c[column.name] for column in SUMMARY))
    .where(_numbered.c.place <= sa.bindparam("most", type_=sa.Integer()))
    .order_by(_numbered.c.id)
)
_QUEUE = Statement(
    sa.select(work_queue.c.name, work_queue.c.concurrency_limit).where(
        work_queue.c.id == sa.bindparam("id", type_=UUID())
    )
)
_in_queue = sa.and_(
    sa.or_(
        flow_run.c.work_queue_id == sa.bindparam("id", type_=UUID()),
        sa.and_(flow_run.c.work_queue_id.is_(None), flow_run.c.work_queue_name == sa.bindparam("name")),
    ),
    flow_run.c.state_type.in_(HOLDING_OR_CANCELLING),
)
_QUEUE_COUNT = Statement(sa.select(sa.func.count()).select_from(flow_run).where(_in_queue))
_QUEUE_HOLDERS = Statement(
    sa.select(*SUMMARY)
    .where(_in_queue)
    .order_by(flow_run.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
    .offset(sa.bindparam("offset", type_=sa.Integer()))
)


def _summary(row: Any, now: datetime) -> dict[str, Any]:
    summary = dict(zip((column.name for column in SUMMARY), row, strict=True))
    since = summary["state_timestamp"]
    summary["time_in_current_state"] = None if since is None else (now - since).total_seconds()
    return summary


def _offset(page: int, limit: int) -> int:
    """The first row of a page; raises InvalidValue for one that no database can count to."""
    offset = (page - 1) * limit
    if offset >= 2**63:
        raise errors.InvalidValue("The page is out of range.")
    return min(offset, 2**31 - 1)


def _pages(count: int, limit: int, page: int) -> dict[str, int]:
    return {"count": count, "limit": limit, "pages": -(-count // limit) if limit else 0, "page": page}


def of_pool(pool: str, page: int, limit: int, most: int, now: datetime) -> Unit[dict[str, Any]]:
    """The slots of a pool, and those of `limit` of its queues with `most` runs each. Raises NotFound."""
    rows = yield _POOL(pool=pool)
    if not rows:
        raise errors.NotFound(f"Work pool {pool!r} not found.")
    pool_id, pool_limit = rows[0]
    queues = yield _QUEUES(pool_id=pool_id)
    first = _offset(page, limit)
    shown = queues[first : first + limit]
    holders: dict[str, list[dict[str, Any]]] = {row[0]: [] for row in shown}
    if shown and most:
        for row in (yield _HOLDERS(queue_ids=list(holders), most=most)):
            holders[row[0]].append(_summary(row[1:], now))
    return {
        "active_slots": sum(row[3] for row in queues),
        "concurrency_limit": pool_limit,
        "queues": [
            {
                "queue_id": id,
                "queue_name": name,
                "active_slots": held,
                "concurrency_limit": queue_limit,
                "flow_runs": holders[id],
                "flow_run_count": held,
            }
            for id, name, queue_limit, held in shown
        ],
        **_pages(len(queues), limit, page),
    }


def of_queue(id: str, page: int, limit: int, now: datetime) -> Unit[dict[str, Any]]:
    """The slots of a queue, and a page of the runs that hold them. Raises NotFound."""
    rows = yield _QUEUE(id=id)
    if not rows:
        raise errors.NotFound("Work queue not found.")
    name, queue_limit = rows[0]
    count = (yield _QUEUE_COUNT(id=id, name=name))[0][0]
    rows = yield _QUEUE_HOLDERS(id=id, name=name, limit=limit, offset=_offset(page, limit))
    return {
        "active_slots": count,
        "concurrency_limit": queue_limit,
        "flow_runs": [_summary(row, now) for row in rows],
        **_pages(count, limit, page),
    }
