"""Pauses that nobody ended in time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.declare import follow_up
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID
from prefect_kernel.transition import Move, State

from ..flow_runs.tables import flow_run, flow_run_state
from ..flow_runs.transitions import load, transition
from ..states.stored import details_from_json
from .paging import pages

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

BATCH = 200
"""Runs looked at at once."""

PAUSED = Statement(
    sa.select(flow_run.c.id, flow_run_state.c.state_details)
    .select_from(flow_run.join(flow_run_state, flow_run_state.c.id == flow_run.c.state_id))
    .where(
        flow_run.c.state_type == sa.literal_column("'PAUSED'"),
        flow_run.c.id > sa.bindparam("after", type_=UUID()),
    )
    .order_by(flow_run.c.id)
    .limit(sa.bindparam("count", type_=sa.Integer()))
)


def _failed(now: datetime) -> State:
    return State("FAILED", message="The flow was paused and never resumed.", timestamp=now)


def fail(kernel: Kernel, run_id: str, now: datetime) -> Unit[Move | None]:
    """Fail a run whose pause has expired, by force; nothing when it is not paused any more, or for longer."""
    found = yield from load(run_id)
    state = found[1] if found else None
    timeout = state.details["pause_timeout"] if state else None
    if state is None or state.type != "PAUSED" or timeout is None or timeout >= now:
        return None
    return (yield from transition(kernel, run_id, _failed, policy="minimal-flow", now=now))


class FailExpiredPauses(Service):
    """Fails paused runs that were not resumed before their timeout."""

    name: ClassVar[str] = "pause-expirations"
    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return bool(settings.server.services.pause_expirations.enabled)

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.pause_expirations.loop_seconds)

    async def tick(self) -> None:
        kernel = self.kernel
        async for rows in pages(kernel, PAUSED, BATCH):
            now = kernel.clock.now()
            for id, details in rows:
                timeout = details_from_json(details)["pause_timeout"]
                if timeout is None or timeout >= now:
                    continue
                move = await kernel.storage.write(fail, kernel, id, now)
                if move is not None:
                    await follow_up(move.on_commit)
                    if move.events:
                        kernel.events.committed()
