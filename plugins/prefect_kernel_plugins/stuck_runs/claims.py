"""Runs that a worker has claimed and never launched: after a deadline, others may claim them."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.errors import ObjectNotFound
from prefect_kernel.propose import propose
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import Timestamp
from prefect_kernel.transition import Move, State

from ..common.planning import unindexed
from ..flow_runs.tables import flow_run
from ..flow_runs.transitions import load, transition
from ..services.paging import read
from . import CLAIM
from .rules import CLAIM_EXPIRED

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

BATCH = 200
"""Runs given back in one round."""

OVERDUE = Statement(
    sa.select(flow_run.c.id, flow_run.c.state_id)
    .where(
        flow_run.c.state_type == sa.literal_column("'PENDING'"),
        unindexed(flow_run.c.state_timestamp) <= sa.bindparam("before", type_=Timestamp()),
        flow_run.c.work_queue_id.is_not(None),
        flow_run.c.infrastructure_pid.is_(None),
    )
    .order_by(unindexed(flow_run.c.state_timestamp), flow_run.c.id)
    .limit(BATCH)
)
"""Runs of work pools that are pending for too long, and of which no worker has said where it launched them."""


class Changed(Exception):
    """The run is not any more what it was when it was found."""


def give_up(kernel: Kernel, run_id: str, *, state_id: str, seconds: float, now: datetime, **options: Any) -> Unit[Move]:
    """Make a run claimable again, if it is still claimed and not launched. Raises Changed."""
    found = yield from load(run_id)
    if found is None or found[1] is None or found[1].id != state_id or found[0]["infrastructure_pid"] is not None:
        raise Changed
    since = found[1].timestamp
    due = found[1].details["scheduled_time"]

    def expired(at: datetime) -> State:
        message = (
            f"The worker that claimed this flow run at {since:%Y-%m-%d %H:%M:%S} UTC has not launched it within"
            f" {seconds:g} seconds."
        )
        return State(
            "SCHEDULED", name=CLAIM_EXPIRED, message=message, details={"scheduled_time": due or at}, timestamp=at
        )

    return (yield from transition(kernel, run_id, expired, now=now, **options))


class ClaimDeadline(Service):
    """Gives runs back that a worker has claimed and not launched."""

    name: ClassVar[str] = "claim-deadline"
    setting: ClassVar[str] = CLAIM

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.plugin[CLAIM] > 0)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(min(15.0, max(1.0, settings.plugin[CLAIM] / 4)))

    async def tick(self) -> None:
        kernel, seconds = self.kernel, self.kernel.settings.plugin[CLAIM]
        before = kernel.clock.now() - timedelta(seconds=seconds)
        for id, state_id in await read(kernel, OVERDUE, before=before):
            unit = partial(give_up, state_id=state_id, seconds=seconds)
            options: dict[str, Any] = {"policy": "minimal-flow", "now": kernel.clock.now()}
            try:
                await propose(kernel, ("minimal-flow", "global-flow"), unit, id, **options)
            except (Changed, ObjectNotFound):
                continue  # it was launched, or deleted, meanwhile
