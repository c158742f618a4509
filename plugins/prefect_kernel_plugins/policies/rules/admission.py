"""Who may go where at all: repeated proposals, double submissions, lateness, and runs that are too early."""

from __future__ import annotations

import math

from prefect_kernel.transition import ALL_STATES, FlowRule, Move, Rule


class PreventDuplicateTransitions(FlowRule):
    """A client that repeats a proposal, because it did not hear the answer, learns that it was carried out."""

    from_states = ALL_STATES
    to_states = ALL_STATES

    def before(self, move: Move) -> None:
        if move.initial is None or move.proposed is None:
            return
        wanted = move.proposed.details["transition_id"]
        if wanted is not None and wanted == move.initial.details["transition_id"]:
            move.reject(None, "This run has already made this state transition.")


class PreventPendingTransitions(Rule):
    """A run is submitted once: of two workers that submit it, the later one must stop.

    Steps within PENDING, to a state of another name than "Pending", are allowed and keep what was found out earlier.
    """

    kind = "run"
    from_states = frozenset({"PENDING", "CANCELLING", "RUNNING", "CANCELLED"})
    to_states = frozenset({"PENDING"})

    def before(self, move: Move) -> None:
        initial, proposed = move.initial, move.proposed
        if initial is None or proposed is None:
            return
        if initial.type == "PENDING" and proposed.name not in (initial.name, "Pending"):
            for key in ("scheduled_time", "deployment_concurrency_lease_id"):
                proposed.details[key] = initial.details[key]
            return
        move.abort(f"This run is in a {initial.type} state and cannot transition to a PENDING state.")


class EnsureOnlyScheduledFlowsMarkedLate(FlowRule):
    """Lateness is for scheduled runs, and only once."""

    from_states = ALL_STATES
    to_states = frozenset({"SCHEDULED"})

    def before(self, move: Move) -> None:
        if move.initial is None or move.proposed is None or move.proposed.name != "Late":
            return
        if move.initial.type != "SCHEDULED":
            move.reject(None, "Only scheduled flows can be marked late.")
        elif move.initial.name == "Late":
            move.reject(None, "This flow run is already marked late.")


class CopyScheduledTime(Rule):
    """A pending state keeps the time for which the run was scheduled, unless it brings its own."""

    kind = "run"
    from_states = frozenset({"SCHEDULED"})
    to_states = frozenset({"PENDING"})

    def before(self, move: Move) -> None:
        if move.initial is not None and move.proposed is not None and not move.proposed.details["scheduled_time"]:
            move.proposed.details["scheduled_time"] = move.initial.details["scheduled_time"]


class WaitForScheduledTime(Rule):
    """No run begins before its time, by the server's clock."""

    kind = "run"
    from_states = frozenset({"SCHEDULED", "PENDING"})
    to_states = frozenset({"RUNNING"})

    def before(self, move: Move) -> None:
        if move.initial is None or move.proposed is None:
            return
        due = move.initial.details["scheduled_time"]
        if not due:
            return
        early = due - move.now
        seconds = math.floor(early.total_seconds()) + round(early.microseconds / 1e6)
        if seconds > 0:
            move.wait(seconds, "Scheduled time is in the future")
