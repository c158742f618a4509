"""What becomes of a worker that comes back with a run whose claim it has lost."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import UUID
from prefect_kernel.transition import FlowRule, Move

from ..flow_runs.tables import flow_run_state

CLAIM_EXPIRED = "ClaimExpired"
"""The name of the scheduled state of a run whose claim has run out."""

_EXPIRED_BEFORE = Statement(
    sa.select(sa.literal_column("1"))
    .where(
        flow_run_state.c.flow_run_id == sa.bindparam("run_id", type_=UUID()),
        flow_run_state.c.name == sa.literal_column(f"'{CLAIM_EXPIRED}'"),
    )
    .limit(1)
)


class AbortStaleClaims(FlowRule):
    """A run whose claim has run out starts only with a new claim, and only once.

    Who launches a run does not say by which claim. So after a claim has run out, of those who start the run the first
    one gets it, and the other one stops.
    """

    from_states = frozenset({"SCHEDULED", "RUNNING"})
    to_states = frozenset({"RUNNING"})

    def before(self, move: Move) -> Any:
        if move.initial is None:
            return None
        if move.initial.type == "RUNNING":
            return self._second(move)
        if move.initial.name == CLAIM_EXPIRED:
            move.abort("The claim on this flow run has run out; it must be claimed again before it can start.")
        return None

    @staticmethod
    def _second(move: Move) -> Generator[Any, Any, None]:
        if (yield _EXPIRED_BEFORE(run_id=move.run["id"])):
            move.abort("This flow run was claimed again after a claim on it ran out, and is already running.")
