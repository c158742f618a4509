"""The foreman: who gives no sign of life is OFFLINE, and what nobody asks for is NOT_READY."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.sql import Statement, Unit, by_dialect
from prefect_kernel.sql.types import Timestamp

from ..deployments.tables import deployment
from . import notices, pools
from .tables import work_pool, work_queue, worker

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_NOW = sa.bindparam("now", type_=Timestamp())
_HORIZON = sa.bindparam("horizon", type_=Timestamp())
_READY, _NOT_READY = sa.literal_column("'READY'"), sa.literal_column("'NOT_READY'")

_PATIENCE = "coalesce(heartbeat_interval_seconds, :fallback) * :multiple"
_SILENT = Statement(
    by_dialect(
        sqlite=sa.text(
            "UPDATE worker SET status = 'OFFLINE', updated = :now WHERE status = 'ONLINE' AND"
            f" (julianday(:now) - julianday(last_heartbeat_time)) * 86400.0 > {_PATIENCE}"
        ).bindparams(_NOW),
        postgresql=sa.text(
            "UPDATE worker SET status = 'OFFLINE', updated = :now WHERE status = 'ONLINE' AND"
            " extract(epoch FROM (CAST(:now AS timestamptz) - last_heartbeat_time)) >"
            " coalesce(heartbeat_interval_seconds, CAST(:fallback AS integer)) * CAST(:multiple AS integer)"
        ).bindparams(_NOW),
    )
)
_DESERTED = Statement(
    sa.select(*pools.POOL_COLUMNS).where(
        work_pool.c.status == _READY,
        sa.not_(
            sa.exists().where(worker.c.work_pool_id == work_pool.c.id, worker.c.status == sa.literal_column("'ONLINE'"))
        ),
    )
)
_queue_polled = (
    sa.select(work_queue.c.last_polled).where(work_queue.c.id == deployment.c.work_queue_id).scalar_subquery()
)
_DEPLOYMENTS = Statement(
    sa.update(deployment)
    .values(status=_NOT_READY)
    .where(
        deployment.c.status == _READY,
        deployment.c.last_polled < _HORIZON,
        sa.or_(_queue_polled.is_(None), _queue_polled < _HORIZON),
    )
    .returning(deployment.c.id)
)
_QUEUES = Statement(
    sa.update(work_queue)
    .values(status=_NOT_READY, updated=_NOW)
    .where(work_queue.c.status == _READY, work_queue.c.last_polled < _HORIZON)
    .returning(work_queue.c.id, work_queue.c.name, work_queue.c.work_pool_id)
)
_POOL_NAMES = Statement(sa.select(work_pool.c.id, work_pool.c.name, work_pool.c.type))


def silent_workers(now: datetime, multiple: int, fallback: int) -> Unit[int]:
    """Workers that were silent for several of their intervals are OFFLINE; how many."""
    number: int = yield _SILENT(now=now, multiple=multiple, fallback=fallback)
    return number


def deserted_pools(kernel: Kernel, now: datetime) -> Unit[None]:
    """READY pools without an ONLINE worker are NOT_READY."""
    rows = yield _DESERTED()
    for row in rows:
        pool = dict(zip(pools.POOL_FACTS, row, strict=True))
        yield from pools.update(kernel, pool, {"status": "NOT_READY"}, now)


def unasked_deployments(kernel: Kernel, now: datetime, horizon: datetime) -> Unit[None]:
    """READY deployments that were not polled lately, nor their queues, are NOT_READY."""
    rows = yield _DEPLOYMENTS(horizon=horizon)
    if rows and kernel.events.wanted:
        from ..deployments import events

        found = yield events.FACTS(ids=[row[0] for row in rows])
        for row in found:
            for call in events.event_calls(kernel, "not-ready", events.facts(row), now):
                yield call


def unasked_queues(kernel: Kernel, now: datetime, horizon: datetime) -> Unit[None]:
    """READY queues that were not polled lately are NOT_READY."""
    rows = yield _QUEUES(now=now, horizon=horizon)
    if rows and kernel.events.wanted:
        found = yield _POOL_NAMES()
        its = {row[0]: dict(zip(("id", "name", "type"), row, strict=True)) for row in found}
        for id, name, pool_id in rows:
            yield kernel.events.call(notices.queue_event("not-ready", {"id": id, "name": name}, its[pool_id], now))


class Foreman(Service):
    """Looks after workers, pools, deployments and queues, in this order."""

    name: ClassVar[str] = "foreman"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.server.services.foreman.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.foreman.loop_seconds)

    async def tick(self) -> None:
        kernel, now = self.kernel, self.kernel.clock.now()
        settings = kernel.settings.server.services.foreman
        await kernel.storage.write(
            silent_workers,
            now,
            settings.inactivity_heartbeat_multiple,
            settings.fallback_heartbeat_interval_seconds,
        )
        await kernel.storage.write(deserted_pools, kernel, now)
        patience = timedelta(seconds=settings.deployment_last_polled_timeout_seconds)
        await kernel.storage.write(unasked_deployments, kernel, now, now - patience)
        patience = timedelta(seconds=settings.work_queue_last_polled_timeout_seconds)
        await kernel.storage.write(unasked_queues, kernel, now, now - patience)
        kernel.events.committed()
