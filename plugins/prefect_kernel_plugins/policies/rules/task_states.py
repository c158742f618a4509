"""Which states a task run may leave, and what its flow run must be doing."""

from __future__ import annotations

from prefect_kernel.transition import ALL_STATES, TERMINAL_STATES, Move, State, TaskRule


class HandleTaskTerminalStateTransitions(TaskRule):
    """A task run that has ended may run again, counted from zero, unless its result would be lost."""

    from_states = TERMINAL_STATES
    to_states = ALL_STATES
    __slots__ = ("_run_count",)

    def before(self, move: Move) -> None:
        self._run_count: int = move.run["run_count"]
        initial, proposed = move.initial, move.proposed
        if initial is None or proposed is None:
            return
        if proposed.type in ("CANCELLING", "PAUSED", "CRASHED"):
            move.abort(f"Run is already {initial.type}.")
            return
        if initial.type == "COMPLETED" and initial.data:
            kept = not isinstance(initial.data, dict) or initial.data.get("type") != "unpersisted"
            if kept:
                move.reject(None, "This run is already completed.")
                return
        if not proposed.is_final:
            move.run["run_count"] = 0
        flow_run = move.context.get("flow_run") if proposed.type == "RUNNING" else None
        if flow_run is not None and move.run["flow_run_run_count"] < flow_run["run_count"]:
            move.rename("Retrying")

    def cleanup(self, move: Move) -> None:
        move.run["run_count"] = self._run_count


class PreventRunningTasksFromStoppedFlows(TaskRule):
    """A task runs only while its flow does; while that is paused, the task waits."""

    to_states = frozenset({"RUNNING"})

    def before(self, move: Move) -> None:
        flow_run = move.context.get("flow_run")
        if flow_run is None:
            return
        state = flow_run["state"]
        if state is not None and state["type"] == "PAUSED":
            details = {key: state["details"][key] for key in ("pause_timeout", "pause_reschedule")}
            move.reject(
                State("PAUSED", name="NotReady", details=details, timestamp=move.now),
                f"The flow is paused, new tasks can execute after resuming flow run: {flow_run['id']}.",
            )
        elif state is None or state["type"] != "RUNNING":
            move.abort("The enclosing flow must be running to begin task execution.")
