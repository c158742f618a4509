"""Claims that come too late: a worker proposes PENDING for what it was given some time ago."""

from __future__ import annotations

from prefect_kernel.transition import TERMINAL_STATES, FlowRule, Move


class AbortLateClaims(FlowRule):
    """A run of a work pool is claimed in a state in which workers are given it.

    Between a worker's poll and its claim, another one may have run the run to its end, or to a retry by its own
    process. It would be run a second time.
    """

    from_states = TERMINAL_STATES | {"SCHEDULED"}
    to_states = frozenset({"PENDING"})

    def before(self, move: Move) -> None:
        initial, proposed = move.initial, move.proposed
        if initial is None or proposed is None or proposed.name != "Pending" or move.run["work_queue_id"] is None:
            return
        if initial.type != "SCHEDULED":
            move.abort(f"This run was claimed by another worker and has ended: it is {initial.name}.")
        elif (move.run["empirical_policy"] or {}).get("retry_type") == "in_process":
            move.abort("This run is retried by the process that runs it.")
