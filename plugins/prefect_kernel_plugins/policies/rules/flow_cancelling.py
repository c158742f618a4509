"""Cancelling flow runs."""

from __future__ import annotations

from prefect_kernel.transition import ALL_STATES, FlowRule, Move, State


class EnforceCancellingToCancelledTransition(FlowRule):
    """A run that is being cancelled can only become cancelled."""

    from_states = frozenset({"CANCELLING"})
    to_states = ALL_STATES - {"CANCELLED"}

    def before(self, move: Move) -> None:
        move.reject(None, "Cannot transition flows that are cancelling to a state other than Cancelled.")


class BypassCancellingFlowRunsWithNoInfra(FlowRule):
    """Where there is nothing to tear down, cancelling is over at once."""

    from_states = frozenset({"SCHEDULED", "PAUSED"})
    to_states = frozenset({"CANCELLING"})

    def before(self, move: Move) -> None:
        initial = move.initial
        if initial is None or move.proposed is None:
            return
        if (initial.type == "SCHEDULED" and not move.run["infrastructure_pid"]) or initial.name == "Resuming":
            self._cancel(move, "Scheduled")
        elif initial.type == "PAUSED" and initial.details["pause_reschedule"]:
            self._cancel(move, "Suspended")

    @staticmethod
    def _cancel(move: Move, kind: str) -> None:
        reason = f"{kind} flow run has no infrastructure to terminate."
        move.reject(State("CANCELLED", timestamp=move.now), reason)
