"""Transforms and rules that keep a task run's counters in step with its state and its flow run."""

from __future__ import annotations

from prefect_kernel import errors
from prefect_kernel.transition import Move, TaskRule, TaskTransform


class IncrementTaskRunCount(TaskTransform):
    """Counts the attempts."""

    def before(self, move: Move) -> None:
        if move.proposed is not None and move.proposed.type == "RUNNING":
            move.run["run_count"] += 1


class UpdateFlowRunTrackerOnTasks(TaskRule):
    """A task run knows in which attempt of its flow run it ran last."""

    to_states = frozenset({"RUNNING"})

    def after(self, move: Move) -> None:
        if move.run["flow_run_id"] is None:
            return
        flow_run = move.context.get("flow_run")
        if flow_run is None:
            raise errors.ObjectNotFound(
                f"Unable to read flow run associated with task run: {move.run['id']}, this flow run might have been"
                " deleted"
            )
        move.run["flow_run_run_count"] = flow_run["run_count"]
