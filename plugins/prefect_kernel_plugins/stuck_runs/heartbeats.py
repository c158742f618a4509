"""Runs whose process has died: those that have sent heartbeats (Prefect's events) and send none any more."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.errors import ObjectNotFound, StorageUnavailable
from prefect_kernel.propose import propose
from prefect_kernel.sql import Statement, Unit, by_dialect
from prefect_kernel.sql.types import POSTGRESQL, SQLITE, UUID, Timestamp
from prefect_kernel.transition import Move, State

from ..events.tables import events
from ..flow_runs.tables import flow_run
from ..flow_runs.transitions import load, transition
from ..services.paging import NO_ID, read
from . import HEARTBEAT
from .claims import Changed

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

BATCH = 1000
"""Running runs looked at in one round; the next round goes on behind them."""

EVENT = "prefect.flow-run.heartbeat"


def _last(dialect: str, run_id: Any) -> sa.ScalarSelect[Any]:
    """When the run's last heartbeat was; one step in the index on event, resource and time."""
    text = run_id if dialect == SQLITE else sa.cast(run_id, sa.Text())
    prefix: sa.ColumnElement[str] = sa.literal_column("'prefect.flow-run.'")
    return (
        sa.select(sa.func.max(events.c.occurred, type_=Timestamp()))
        .where(events.c.event == sa.literal_column(f"'{EVENT}'"), events.c.resource_id == prefix.concat(text))
        .scalar_subquery()
    )


def _running(dialect: str) -> sa.Select[Any]:
    page = (
        sa.select(flow_run.c.id, flow_run.c.state_id, flow_run.c.state_timestamp)
        .where(
            flow_run.c.state_type == sa.literal_column("'RUNNING'"), flow_run.c.id > sa.bindparam("after", type_=UUID())
        )
        .order_by(flow_run.c.id)
        .limit(BATCH)
        .subquery("page")  # so that nobody's heartbeats are looked up but theirs
    )
    return sa.select(*page.c, _last(dialect, page.c.id)).order_by(page.c.id)


def _one(dialect: str) -> sa.Select[Any]:
    return sa.select(_last(dialect, sa.cast(sa.bindparam("run_id", type_=UUID()), UUID())))


RUNNING = Statement(by_dialect(sqlite=_running(SQLITE), postgresql=_running(POSTGRESQL)))
LAST = Statement(
    by_dialect(sqlite=sa.select(_last(SQLITE, sa.bindparam("run_id", type_=UUID()))), postgresql=_one(POSTGRESQL))
)


def crash(kernel: Kernel, run_id: str, *, state_id: str, before: datetime, now: datetime, **options: Any) -> Unit[Move]:
    """Fail a run whose last heartbeat was before that, if that is still so. Raises Changed."""
    found = yield from load(run_id)
    if found is None or found[1] is None or found[1].id != state_id:
        raise Changed
    ((last,),) = yield LAST(run_id=run_id)
    if last is None or last >= before:
        raise Changed

    def crashed(at: datetime) -> State:
        message = f"No heartbeat since {last:%Y-%m-%d %H:%M:%S} UTC: the process of this flow run has probably died."
        return State("CRASHED", message=message, timestamp=at)

    return (yield from transition(kernel, run_id, crashed, now=now, **options))


class HeartbeatDeadline(Service):
    """Fails running runs that have sent heartbeats and send none any more."""

    name: ClassVar[str] = "heartbeat-deadline"
    setting: ClassVar[str] = HEARTBEAT

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._after = NO_ID
        self._listening_since: datetime | None = None

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.plugin[HEARTBEAT] > 0)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(min(15.0, max(1.0, settings.plugin[HEARTBEAT] / 4)))

    async def tick(self) -> None:
        kernel = self.kernel
        now = kernel.clock.now()
        before = now - timedelta(seconds=kernel.settings.plugin[HEARTBEAT])
        if self._listening_since is None:
            self._listening_since = now
        if self._listening_since > before:
            return  # while there was no server, nobody could be heard
        try:
            rows = await read(kernel, RUNNING, after=self._after)
        except StorageUnavailable:
            self._listening_since = None  # nor were heartbeats stored meanwhile
            raise
        self._after = rows[-1][0] if len(rows) == BATCH else NO_ID
        for id, state_id, since, last in rows:
            # One of an earlier attempt tells nothing of this one, which may be a process that sends none.
            if last is None or last < since or last >= before:
                continue
            unit = partial(crash, state_id=state_id, before=before)
            options: dict[str, Any] = {"policy": "core-flow", "now": kernel.clock.now()}
            try:
                await propose(kernel, ("core-flow", "global-flow"), unit, id, **options)
            except (Changed, ObjectNotFound):
                continue  # it has ended, or was heard of, meanwhile
