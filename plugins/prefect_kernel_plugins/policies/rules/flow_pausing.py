"""Pausing, suspending and resuming flow runs."""

from __future__ import annotations

from prefect_kernel.ids import uuid4
from prefect_kernel.transition import ALL_STATES, FlowRule, Move, State

from .flow_policy import change_policy, policy_value


def _verb(state: State) -> str:
    return "suspend" if state.name == "Suspended" else "pause"


class HandlePausingFlows(FlowRule):
    """Only a running flow can pause, once for each pause key; to leave the process it must be deployed."""

    from_states = ALL_STATES
    to_states = frozenset({"PAUSED"})
    __slots__ = ("_key",)

    def before(self, move: Move) -> None:
        proposed = move.proposed
        if proposed is None:
            return
        verb = _verb(proposed)
        if move.initial is None:
            move.abort(f"Cannot {verb} flows with no state.")
            return
        if move.initial.type != "RUNNING":
            move.reject(None, f"Cannot {verb} flows that are not currently running.")
            return
        key = proposed.details["pause_key"]
        self._key: str = uuid4() if key is None else key
        if self._key in (policy_value(move.run, "pause_keys") or ()):
            move.reject(None, f"This {verb} has already fired.")
        elif proposed.details["pause_reschedule"]:
            if move.run["parent_task_run_id"]:
                move.abort(f"Cannot {verb} subflows.")
            elif move.run["deployment_id"] is None:
                move.abort(f"Cannot {verb} flows without a deployment.")

    def after(self, move: Move) -> None:
        change_policy(move.run, pause_keys=[*(policy_value(move.run, "pause_keys") or ()), self._key])


class HandleResumingPausedFlows(FlowRule):
    """A paused run goes on, is scheduled, is cancelled or ends; after the pause's deadline it can only fail."""

    from_states = frozenset({"PAUSED"})
    to_states = ALL_STATES

    def before(self, move: Move) -> None:
        initial, proposed = move.initial, move.proposed
        if initial is None or proposed is None:
            return
        if proposed.type not in ("RUNNING", "SCHEDULED", "CANCELLING") and not proposed.is_final:
            # Prefect prints its enumeration's members with their class.
            move.reject(
                None,
                f"This run cannot transition to the StateType.{proposed.type} state"
                f" from the StateType.{initial.type} state.",
            )
            return
        shown = (proposed.name or proposed.type).lower()
        if initial.details["pause_reschedule"] and not move.run["deployment_id"]:
            move.reject(None, f"Cannot reschedule a {shown} flow run without a deployment.")
            return
        if proposed.type == "CANCELLING":  # its process still waits and must hear of it, whatever the time
            return
        deadline = initial.details["pause_timeout"]
        if deadline and deadline < move.now:
            failed = State("FAILED", message=f"The flow was {shown} and never resumed.", timestamp=move.now)
            move.reject(failed, f"The flow run {_verb(proposed)} has timed out and can no longer resume.")

    def after(self, move: Move) -> None:
        change_policy(move.run, resuming=True)
