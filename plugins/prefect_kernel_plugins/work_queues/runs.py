"""The scheduled runs of a queue, as agents ask for them: by the queue's name, whatever its pool."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID, Timestamp

from ..flow_runs.filters import FLOW_RUN_FILTER
from ..flow_runs.reads import page as page_of_runs
from ..flow_runs.tables import flow_run
from ..flow_runs.wire import FLOW_RUN_COLUMNS, FLOW_RUN_WIRE, joined
from ..work_pools.tables import work_pool, work_queue
from ..work_pools.wire import HOLDING_OR_CANCELLING
from . import reads

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

HEALTHY_SECONDS = 60
"""Seconds since the last poll within which a queue is healthy."""

_QUEUE = Statement(
    sa.select(
        work_queue.c.name,
        work_queue.c.is_paused,
        work_queue.c.concurrency_limit,
        work_queue.c.filter,
        work_queue.c.last_polled,
    ).where(work_queue.c.id == sa.bindparam("id", type_=UUID()))
)
_POOL = {id(work_pool.c.id), id(work_pool.c.name)}
_COLUMNS = [sa.null() if id(column) in _POOL else column for column in FLOW_RUN_COLUMNS]
_POOL_AT = [i for i, column in enumerate(FLOW_RUN_COLUMNS) if id(column) in _POOL]
"""Python Prefect does not say here which pool a run is of."""
_HELD = Statement(
    sa.select(sa.func.count())
    .select_from(flow_run)
    .where(flow_run.c.work_queue_name == sa.bindparam("name"), flow_run.c.state_type.in_(HOLDING_OR_CANCELLING))
)
_LATE = Statement(
    sa.select(sa.func.count())
    .select_from(flow_run)
    .where(flow_run.c.work_queue_id == sa.bindparam("id", type_=UUID()), flow_run.c.state_name == "Late")
)


@lru_cache(2)
def _first(before: bool) -> Statement:
    """The first scheduled runs of queues of a name."""
    until = [flow_run.c.next_scheduled_start_time <= sa.bindparam("before", type_=Timestamp())] if before else []
    found = (
        sa.select(flow_run.c.id.label("at"))
        .where(
            flow_run.c.work_queue_name == sa.bindparam("name"),
            flow_run.c.state_type == sa.literal_column("'SCHEDULED'"),
            *until,
        )
        .order_by(flow_run.c.next_scheduled_start_time)
        .limit(sa.bindparam("limit", type_=sa.Integer()))
        .subquery("page")
    )
    return Statement(
        sa.select(*_COLUMNS)
        .select_from(joined(found.join(flow_run, flow_run.c.id == found.c.at)))
        .order_by(flow_run.c.next_scheduled_start_time, flow_run.c.id),
        raw=True,
    )


def _filtered(
    queue_filter: dict[str, Any], slots: int | None, limit: int, before: datetime | None
) -> Unit[Sequence[Any]]:
    params: dict[str, Any] = {"limit": limit if slots is None else min(limit, slots), "offset": 0}
    until = {} if before is None else {"next_scheduled_start_time": {"before_": before}}
    shape = FLOW_RUN_FILTER.take(reads.filtered(queue_filter, "SCHEDULED", **until), params)
    rows = yield page_of_runs((("flow_runs", shape),), "NEXT_SCHEDULED_START_TIME_ASC").bind(params)
    if slots is not None:
        rows = rows[: max(0, slots - (yield from reads.taken(queue_filter)))]
    return [[None if i in _POOL_AT else cell for i, cell in enumerate(row)] for row in rows]


def find(kernel: Kernel, id: str, limit: int, before: datetime | None, now: datetime) -> Unit[bytes]:
    """The runs of a queue as JSON. Raises ObjectNotFound.

    Slots are counted after the runs were found: a run that is claimed in between makes the answer shorter. Counted
    before, it would have the one behind it be given beyond the limit.
    """
    rows = yield _QUEUE(id=id)
    if not rows:
        raise errors.ObjectNotFound(f"Work queue with id {id} not found.")
    name, paused, slots, queue_filter, _ = rows[0]
    found: Sequence[Any] = []
    if paused:
        pass
    elif queue_filter is not None:
        found = yield from _filtered(queue_filter, slots, limit, before)
    else:
        most = limit if slots is None else min(limit, slots)
        found = yield _first(before is not None)(name=name, limit=most, before=before)
        if slots is not None:
            found = found[: max(0, slots - (yield _HELD(name=name))[0][0])]
    return FLOW_RUN_WIRE.many(kernel.storage.dialect, found, now)


def status(id: str, now: datetime) -> Unit[dict[str, Any]]:
    """How a queue does. Raises ObjectNotFound."""
    rows = yield _QUEUE(id=id)
    if not rows:
        raise errors.ObjectNotFound(f"Work queue with id {id} not found")
    polled = rows[0][4]
    late = (yield _LATE(id=id))[0][0]
    recent = polled is not None and (now - polled).total_seconds() <= HEALTHY_SECONDS
    return {
        "healthy": bool(recent and not late),
        "late_runs_count": late,
        "last_polled": polled,
        "health_check_policy": {
            "maximum_late_runs": 0,
            "maximum_seconds_since_last_polled": HEALTHY_SECONDS,
        },
    }
