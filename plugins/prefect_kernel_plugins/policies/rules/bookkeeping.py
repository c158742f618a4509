"""Transforms that keep the columns of every run in step with its state."""

from __future__ import annotations

from datetime import UTC

from prefect_kernel.transition import Move, Rule


class _Transform(Rule):
    """For flow runs and task runs alike."""

    kind = "run"
    transform = True
    __slots__ = ()


class SetRunStateType(_Transform):
    """The run's own copy of its state's type."""

    def before(self, move: Move) -> None:
        if move.proposed is not None:
            move.run["state_type"] = move.proposed.type


class SetRunStateName(_Transform):
    """The run's own copy of its state's name."""

    def before(self, move: Move) -> None:
        if move.proposed is not None:
            move.run["state_name"] = move.proposed.name


class SetRunStateTimestamp(_Transform):
    """The run's own copy of its state's timestamp."""

    def before(self, move: Move) -> None:
        if move.proposed is not None:
            move.run["state_timestamp"] = move.proposed.timestamp


class SetStartTime(_Transform):
    """When the run first began to run."""

    def before(self, move: Move) -> None:
        if move.proposed is not None and move.proposed.type == "RUNNING" and move.run["start_time"] is None:
            move.run["start_time"] = move.proposed.timestamp


class SetEndTime(_Transform):
    """When the run ended; nothing again once it leaves a terminal state."""

    def before(self, move: Move) -> None:
        state, run = move.proposed, move.run
        if state is None:
            return
        if not state.is_final:
            if move.initial is not None and move.initial.is_final:
                run["end_time"] = None
        elif run["end_time"] is None:
            if run["start_time"] is None:  # it failed before it began
                run["start_time"] = state.timestamp
            run["end_time"] = state.timestamp


class IncrementRunTime(_Transform):
    """Time spent running, over all attempts."""

    def before(self, move: Move) -> None:
        if move.proposed is not None and move.initial is not None and move.initial.type == "RUNNING":
            move.run["total_run_time"] += move.proposed.timestamp - move.initial.timestamp


class SetExpectedStartTime(_Transform):
    """When the run should start, as its first state tells."""

    def before(self, move: Move) -> None:
        state = move.proposed
        if state is not None and move.run["expected_start_time"] is None:
            scheduled = state.type == "SCHEDULED"
            expected = state.details["scheduled_time"].astimezone(UTC) if scheduled else state.timestamp
            move.run["expected_start_time"] = expected


class SetNextScheduledStartTime(_Transform):
    """When a scheduled run is due; nothing in any other state."""

    def before(self, move: Move) -> None:
        if move.proposed is None:
            return
        if move.proposed.type == "SCHEDULED":
            move.run["next_scheduled_start_time"] = move.proposed.details["scheduled_time"].astimezone(UTC)
        elif move.initial is not None and move.initial.type == "SCHEDULED":
            move.run["next_scheduled_start_time"] = None


class UpdateStateDetails(_Transform):
    """The state names the run that it belongs to."""

    def before(self, move: Move) -> None:
        if move.proposed is None:
            return
        details = move.proposed.details
        if move.kind == "flow_run":
            details["flow_run_id"] = move.run["id"]
        else:
            details["flow_run_id"], details["task_run_id"] = move.run["flow_run_id"], move.run["id"]
