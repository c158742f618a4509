"""Late runs: scheduled runs whose time has come and gone without anybody starting them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.errors import ObjectNotFound
from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import Timestamp
from prefect_kernel.transition import State

from ..flow_runs.tables import flow_run
from ..flow_runs.transitions import set_state
from .paging import read

BATCH = 400
"""Runs marked in one round."""

DUE = Statement(
    sa.select(flow_run.c.id, flow_run.c.next_scheduled_start_time)
    .where(
        flow_run.c.next_scheduled_start_time <= sa.bindparam("before", type_=Timestamp()),
        flow_run.c.state_type == sa.literal_column("'SCHEDULED'"),
        flow_run.c.state_name == sa.literal_column("'Scheduled'"),
    )
    .order_by(flow_run.c.next_scheduled_start_time)
    .limit(BATCH)
)


class MarkLateRuns(Service):
    """Gives runs that were not started in time the state Late."""

    name: ClassVar[str] = "late-runs"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.server.services.late_runs.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.late_runs.loop_seconds)

    async def tick(self) -> None:
        kernel = self.kernel
        before = kernel.clock.now() - kernel.settings.server.services.late_runs.after_seconds
        for id, due in await read(kernel, DUE, before=before):

            def late(now: datetime, due: datetime = due) -> State:
                return State("SCHEDULED", name="Late", details={"scheduled_time": due}, timestamp=now)

            try:
                await set_state(kernel, id, late, policy="mark-late-runs")
            except ObjectNotFound:
                continue  # deleted meanwhile
