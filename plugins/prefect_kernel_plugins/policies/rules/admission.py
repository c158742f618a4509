"""Who may go where at all: repeated proposals, double submissions, lateness, and runs that are too early."""

from __future__ import annotations

import math

from prefect_kernel.transition import ALL_STATES, FlowRule, Move, Rule


def is_claim(move: Move) -> bool:
    """Whether a worker wants to have a run that its work pool has given it."""
    proposed = move.proposed
    claim = proposed is not None and proposed.type == "PENDING" and proposed.name == "Pending"
    return claim and move.run["work_queue_id"] is not None


def retries_itself(move: Move) -> bool:
    """Whether a process that goes on will retry the run."""
    return (move.run["empirical_policy"] or {}).get("retry_type") == "in_process"


class PreventDuplicateTransitions(FlowRule):
    """A client that repeats a proposal, because it did not hear the answer, learns that it was carried out.

    And a worker whose claim comes so late that another one has run the run, and its process is about to retry it, has
    no part in that. With Prefect both go on.
    """

    from_states = ALL_STATES
    to_states = ALL_STATES

    def before(self, move: Move) -> None:
        if move.initial is None or move.proposed is None:
            return
        wanted = move.proposed.details["transition_id"]
        if wanted is not None and wanted == move.initial.details["transition_id"]:
            move.reject(None, "This run has already made this state transition.")
        elif move.initial.type == "SCHEDULED" and is_claim(move) and retries_itself(move):
            move.abort("This run is retried by the process that runs it.")


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
