"""Who was asked for work: queues and deployments are READY while somebody polls them.

A poll writes only what must change: a status that is not READY yet, and times that are older than half of what the
foreman tolerates. So most polls write nothing, however many workers there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.types import UUID, Timestamp

from ..deployments.tables import deployment
from . import notices
from .tables import work_pool, work_queue

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

HEALTHY = 60.0
"""Seconds for which a queue counts as healthy after a poll."""

_NOW = sa.bindparam("now", type_=Timestamp())
_QUEUE_OLD = sa.or_(
    work_queue.c.last_polled.is_(None), work_queue.c.last_polled < sa.bindparam("queue_horizon", type_=Timestamp())
)
_DEPLOYMENT_OLD = sa.or_(
    deployment.c.last_polled.is_(None),
    deployment.c.last_polled < sa.bindparam("deployment_horizon", type_=Timestamp()),
)
_QUEUES_READY = Statement(
    sa.update(work_queue)
    .values(status=sa.literal_column("'READY'"), last_polled=_NOW, updated=_NOW)
    .where(in_list(work_queue.c.id, "queue_ids"), work_queue.c.status == sa.literal_column("'NOT_READY'"))
    .returning(work_queue.c.id, work_queue.c.name, work_queue.c.work_pool_id)
)
_QUEUES_POLLED = Statement(
    sa.update(work_queue)
    .values(last_polled=_NOW, updated=_NOW)
    .where(in_list(work_queue.c.id, "queue_ids"), _QUEUE_OLD)
)
_POOLS = Statement(sa.select(work_pool.c.id, work_pool.c.name, work_pool.c.type).where(in_list(work_pool.c.id, "ids")))


def _deployments(column: Any) -> tuple[Statement, Statement]:
    ready = (
        sa.update(deployment)
        .values(status=sa.literal_column("'READY'"), last_polled=_NOW)
        .where(in_list(column, "ids"), deployment.c.status == sa.literal_column("'NOT_READY'"))
        .returning(deployment.c.id)
    )
    polled = sa.update(deployment).values(last_polled=_NOW).where(in_list(column, "ids"), _DEPLOYMENT_OLD)
    return Statement(ready), Statement(polled)


# `updated` is left as it is: whoever looks for changed deployments is not interested in polls.
_BY_QUEUE = _deployments(deployment.c.work_queue_id)
_BY_ID = _deployments(deployment.c.id)


def _due(where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether a poll has something to write about deployments; each part can be answered from an index."""
    ready = deployment.c.status == sa.literal_column("'READY'")
    horizon = sa.bindparam("deployment_horizon", type_=Timestamp())
    return sa.or_(
        sa.exists().where(where, deployment.c.status == sa.literal_column("'NOT_READY'")),
        sa.exists().where(where, ready, deployment.c.last_polled < horizon),
        sa.exists().where(where, ready, deployment.c.last_polled.is_(None)),
    )


DEPLOYMENTS_DUE = _due(deployment.c.work_queue_id == work_queue.c.id)
"""A condition on queues: a poll has to mark deployments of the queue. Parameter: `deployment_horizon`."""
_DUE_BY_ID = Statement(sa.select(_due(in_list(deployment.c.id, "ids"))))
_QUEUE_DUE = Statement(
    sa.select(sa.or_(work_queue.c.status == sa.literal_column("'NOT_READY'"), _QUEUE_OLD, DEPLOYMENTS_DUE)).where(
        work_queue.c.id == sa.bindparam("id", type_=UUID())
    )
)


def horizons(kernel: Kernel, now: datetime) -> dict[str, datetime]:
    """How old the times of polls may be before they are written again: half of what others tolerate."""
    foreman = kernel.settings.server.services.foreman
    queue = min(float(foreman.work_queue_last_polled_timeout_seconds), HEALTHY) / 2
    return {
        "queue_horizon": now - timedelta(seconds=queue),
        "deployment_horizon": now - timedelta(seconds=float(foreman.deployment_last_polled_timeout_seconds) / 2),
    }


def _ready(kernel: Kernel, ids: Sequence[str], now: datetime) -> Unit[None]:
    """Tell that deployments are READY."""
    if not ids or not kernel.events.wanted:
        return
    from ..deployments import events

    rows = yield events.FACTS(ids=list(ids))
    for row in rows:
        for call in events.event_calls(kernel, "ready", events.facts(row), now):
            yield call


def mark(
    kernel: Kernel, now: datetime, queue_ids: Sequence[str] = (), deployment_ids: Sequence[str] = ()
) -> Unit[None]:
    """Write that these queues, the deployments in them, and these deployments were polled."""
    times = {"now": now, **horizons(kernel, now)}
    if queue_ids:
        ready = yield _QUEUES_READY(queue_ids=list(queue_ids), now=now)
        yield _QUEUES_POLLED(queue_ids=list(queue_ids), **times)
        if ready and kernel.events.wanted:
            rows = yield _POOLS(ids=list({row[2] for row in ready}))
            pools = {row[0]: dict(zip(("id", "name", "type"), row, strict=True)) for row in rows}
            for id, name, pool_id in ready:
                event = notices.queue_event("ready", {"id": id, "name": name}, pools[pool_id], now)
                yield kernel.events.call(event)
    for (became_ready, polled), ids in ((_BY_QUEUE, queue_ids), (_BY_ID, deployment_ids)):
        if ids:
            new = yield became_ready(ids=list(ids), now=now)
            yield polled(ids=list(ids), now=now, deployment_horizon=times["deployment_horizon"])
            yield from _ready(kernel, [row[0] for row in new], now)


def due(kernel: Kernel, deployment_ids: Sequence[str], now: datetime) -> Unit[bool]:
    """Whether a poll of these deployments has something to write."""
    rows = yield _DUE_BY_ID(ids=list(deployment_ids), deployment_horizon=horizons(kernel, now)["deployment_horizon"])
    return bool(rows[0][0])


def queue_due(kernel: Kernel, id: str, now: datetime) -> Unit[bool]:
    """Whether a poll of this queue has something to write."""
    rows = yield _QUEUE_DUE(id=id, **horizons(kernel, now))
    return bool(rows and rows[0][0])


async def mark_polled(
    kernel: Kernel, now: datetime, queue_ids: Sequence[str] = (), deployment_ids: Sequence[str] = ()
) -> None:
    """`mark` in a transaction of its own."""
    await kernel.storage.write(mark, kernel, now, queue_ids, deployment_ids)
    kernel.events.committed()
