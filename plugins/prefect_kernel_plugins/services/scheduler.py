"""The scheduler's two loops: all deployments once a minute, those that changed just now every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.sql import Statement, by_dialect
from prefect_kernel.sql.types import POSTGRESQL, SQLITE, UUID, Timestamp

from ..deployments.tables import deployment, deployment_schedule
from ..flow_runs.tables import flow_run
from ..schedules.runs import ACTIVE, Bounds, Planned, ahead, bounds_of, insert, plan, unevaluable
from .paging import pages, read

_AFTER = deployment.c.id > sa.bindparam("after", type_=UUID())
_COUNT = sa.bindparam("count", type_=sa.Integer())
_AT_ONCE = 50
"""Schedules whose dates are found before others have their turn on the event loop."""


def _lacking(dialect: str) -> sa.Select[Any]:
    """Deployments with an active schedule that has fewer than `min_runs` runs ahead, or none after `enough`."""
    few = (
        sa.select(sa.literal_column("1").label("one"))
        .select_from(flow_run)
        .where(*ahead(dialect))
        .correlate(deployment_schedule)
        .limit(sa.bindparam("min_runs", type_=sa.Integer()))
    )
    last = (
        sa.select(sa.literal_column("1"))
        .select_from(flow_run)
        .where(*ahead(dialect), flow_run.c.next_scheduled_start_time >= sa.bindparam("enough", type_=Timestamp()))
    )
    if dialect == POSTGRESQL:
        number: Any = sa.select(sa.func.count()).select_from(few.lateral("few")).scalar_subquery()
    else:  # SQLite has no LATERAL: there a subquery of a subquery may not refer to what is outside of both
        number = (
            sa.select(sa.func.count())
            .select_from(flow_run)
            .where(*ahead(dialect))
            .correlate(deployment_schedule)
            .scalar_subquery()
        )
    needs = sa.exists(
        sa.select(sa.literal_column("1"))
        .select_from(deployment_schedule)
        .where(
            deployment_schedule.c.deployment_id == deployment.c.id,
            deployment_schedule.c.active.is_(sa.true()),
            sa.or_(
                ~last.correlate(deployment_schedule).exists(),
                number < sa.bindparam("min_runs", type_=sa.Integer()),
            ),
        )
        .correlate(deployment)
    )
    return (
        sa.select(deployment.c.id)
        .where(deployment.c.paused.is_(sa.false()), needs, _AFTER)
        .order_by(deployment.c.id)
        .limit(_COUNT)
    )


LACKING = Statement(by_dialect(sqlite=_lacking(SQLITE), postgresql=_lacking(POSTGRESQL)))
RECENT = Statement(
    sa.select(deployment.c.id)
    .where(
        deployment.c.paused.is_(sa.false()),
        deployment.c.updated >= sa.bindparam("since", type_=Timestamp()),
        sa.exists(
            sa.select(sa.literal_column("1"))
            .select_from(deployment_schedule)
            .where(
                deployment_schedule.c.deployment_id == deployment.c.id,
                deployment_schedule.c.active.is_(sa.true()),
            )
            .correlate(deployment)
        ),
        _AFTER,
    )
    .order_by(deployment.c.id)
    .limit(_COUNT)
)


def _batches(planned: Sequence[Planned], size: int) -> list[list[Planned]]:
    """The same in batches of at most `size` runs, in order."""
    out: list[list[Planned]] = [[]]
    room = size
    for one in planned:
        rows = one.rows
        while rows:
            if not room:
                out.append([])
                room = size
            out[-1].append(one._replace(rows=rows[:room]))
            rows, room = rows[room:], room - min(room, len(rows))
    return [batch for batch in out if batch]


class Scheduler(Service):
    """Keeps runs ahead for every active schedule."""

    name: ClassVar[str] = "scheduler"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.server.services.scheduler.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.scheduler.loop_seconds)

    async def tick(self) -> None:
        settings = self.kernel.settings.server.services.scheduler
        now = self.kernel.clock.now()
        await self._schedule(LACKING, now=now, enough=now + settings.min_scheduled_time, min_runs=settings.min_runs)

    async def _schedule(self, which: Statement, **params: Any) -> int:
        """Insert what the deployments that a statement finds lack; how many runs that was."""
        settings = self.kernel.settings.server.services.scheduler
        bounds = bounds_of(self.kernel)
        number = 0
        async for rows in pages(self.kernel, which, settings.deployment_batch_size, **params):
            number += await self._deployments([row[0] for row in rows], bounds)
        return number

    async def _deployments(self, ids: list[str], bounds: Bounds) -> int:
        kernel = self.kernel
        rows = await read(kernel, ACTIVE, ids=ids, now=bounds.start)
        planned: list[Planned] = []
        for i in range(0, len(rows), _AT_ONCE):
            planned += plan(rows[i : i + _AT_ONCE], bounds)
            await asyncio.sleep(0)
        number = 0
        for batch in _batches(planned, kernel.settings.server.services.scheduler.insert_batch_size):
            number += len(await kernel.storage.write(insert, batch, kernel.clock.now()))
        return number

    def health(self) -> dict[str, Any]:
        """As of any service, and which schedules cannot be evaluated."""
        return {**super().health(), "unevaluable": unevaluable()}


class RecentDeploymentsScheduler(Scheduler):
    """Gives deployments that were made or changed just now their runs, before the big loop comes by."""

    name: ClassVar[str] = "recent-deployments-scheduler"

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.scheduler.recent_deployments_loop_seconds)

    async def tick(self) -> None:
        # A little further back than the last round, for what changed while that was under way; and back to the last
        # round that succeeded, for what changed while rounds failed.
        now = self.kernel.clock.now()
        since = now - timedelta(seconds=self.interval + 1)
        if self.last_success is not None:
            since = max(min(since, self.last_success - timedelta(seconds=1)), now - timedelta(hours=1))
        await self._schedule(RECENT, since=since)


__all__ = ["LACKING", "RECENT", "RecentDeploymentsScheduler", "Scheduler"]
