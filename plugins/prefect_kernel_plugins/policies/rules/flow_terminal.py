"""Leaving, and repeating, the terminal states of a flow run."""

from __future__ import annotations

from typing import Any

from prefect_kernel.transition import ALL_STATES, TERMINAL_STATES, FlowRule, Move, State

from .admission import is_claim
from .flow_policy import change_policy
from .versions import knows_pauses


def has_result(state: State) -> bool:
    """Whether a state's data tells where a result is kept."""
    return isinstance(state.data, dict) and bool(state.data) and state.data.get("type") != "unpersisted"


def drops_result(initial: State, proposed: State) -> bool:
    """Whether a completed run with a result would become one without."""
    return (
        initial.type == "COMPLETED"
        and proposed.type == "COMPLETED"
        and has_result(initial)
        and not (isinstance(proposed.data, dict) and proposed.data.get("type") != "unpersisted")
    )


_DROPS_RESULT = "Cannot overwrite a COMPLETED state that carries persisted result data with one that does not."


class HandleFlowTerminalStateTransitions(FlowRule):
    """A run that has ended may run again only if it can be run and no result is lost; it then begins without pauses.

    Workers are not given such runs. Who claims one was given it before another worker had run it; with Prefect it is
    run a second time.
    """

    from_states = TERMINAL_STATES
    to_states = ALL_STATES
    __slots__ = ("_policy",)

    def before(self, move: Move) -> None:
        self._policy: Any = move.run["empirical_policy"]
        initial, proposed = move.initial, move.proposed
        if initial is None or proposed is None:
            return
        if proposed.type in ("CANCELLING", "PAUSED", "CRASHED"):
            move.abort(f"Run is already in terminal state {initial.type}.")
        elif initial.type == "COMPLETED" and not proposed.is_final and has_result(initial):
            move.reject(None, "Run is already COMPLETED.")
        elif drops_result(initial, proposed):
            move.reject(None, _DROPS_RESULT)
        elif proposed.type == "SCHEDULED" and not move.run["deployment_id"]:
            move.abort("Cannot reschedule a run without an associated deployment.")
        elif is_claim(move) and initial.type != "CANCELLED":  # of those that are cancelled, another rule says so
            move.abort(f"This run was claimed by another worker and has ended: it is {initial.name}.")
        elif not proposed.is_final and knows_pauses(move):
            retry_type = "reschedule" if proposed.type == "SCHEDULED" else None
            change_policy(move.run, resuming=False, pause_keys=[], retry_type=retry_type)

    def cleanup(self, move: Move) -> None:
        move.run["empirical_policy"] = self._policy


class PreventResultDataLoss(FlowRule):
    """Also when forced, a completed run with a result does not become one without."""

    from_states = TERMINAL_STATES
    to_states = TERMINAL_STATES

    def before(self, move: Move) -> None:
        if move.initial is not None and move.proposed is not None and drops_result(move.initial, move.proposed):
            move.reject(None, _DROPS_RESULT)
