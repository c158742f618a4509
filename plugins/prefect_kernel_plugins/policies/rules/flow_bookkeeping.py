"""Transforms that keep a flow run, its counters and its parent's task run in step with its state."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import UUID, Timestamp
from prefect_kernel.transition import FlowTransform, Move

from ...flow_runs.tables import flow_run_state
from ...task_runs.transitions import mirror
from .flow_policy import change_policy, policy_value
from .versions import knows_pauses

_TAKEN = Statement(
    sa.select(flow_run_state.c.timestamp)
    .where(
        flow_run_state.c.flow_run_id == sa.bindparam("run_id", type_=UUID()),
        flow_run_state.c.timestamp >= sa.bindparam("since", type_=Timestamp()),
    )
    .order_by(flow_run_state.c.timestamp)
    .limit(1000)
)
_MICROSECOND = timedelta(microseconds=1)


class EnsureFlowRunStateTimestampIsUnique(FlowTransform):
    """No two states of a run share a timestamp: the later one is moved to the next free microsecond."""

    def before(self, move: Move) -> Any:
        # Only a clock that stood still or went back can meet an earlier state: with a later one nothing is to be read.
        if move.proposed is None or move.initial is None or move.proposed.timestamp > move.initial.timestamp:
            return None
        return self._find_free(move)

    @staticmethod
    def _find_free(move: Move) -> Generator[Any, Any, None]:
        state = move.proposed
        assert state is not None
        for (taken,) in (yield _TAKEN(run_id=move.run["id"], since=state.timestamp)):
            if taken != state.timestamp:
                break
            state.timestamp += _MICROSECOND


class UpdateSubflowParentTask(FlowTransform):
    """The task run that stands for a subflow in its parent follows each of the subflow's states."""

    def after(self, move: Move) -> Any:
        if move.validated is None or move.run["parent_task_run_id"] is None:
            return None
        return mirror(move, move.run["parent_task_run_id"])


class UpdateSubflowStateDetails(FlowTransform):
    """A subflow's state names the task run that stands for it."""

    def before(self, move: Move) -> None:
        if move.proposed is not None and move.run["parent_task_run_id"] is not None:
            move.proposed.details["task_run_id"] = move.run["parent_task_run_id"]


class IncrementFlowRunCount(FlowTransform):
    """Counts the attempts; a run that goes on after a pause is in the same attempt."""

    def before(self, move: Move) -> None:
        if move.proposed is None or move.proposed.type != "RUNNING":
            return
        if not (knows_pauses(move) and policy_value(move.run, "resuming")):
            move.run["run_count"] += 1


class RemoveResumingIndicator(FlowTransform):
    """A run that runs again, or has ended, is no longer about to resume."""

    def before(self, move: Move) -> None:
        state = move.proposed
        if state is None or not (state.type == "RUNNING" or state.is_final):
            return
        if policy_value(move.run, "resuming") and knows_pauses(move):
            change_policy(move.run, resuming=False)
