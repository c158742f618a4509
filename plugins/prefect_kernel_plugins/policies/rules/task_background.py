"""Background tasks: their parameters go along, and task workers are told of them."""

from __future__ import annotations

from functools import partial

from prefect_kernel.transition import ALL_STATES, Move, TaskRule

from ...task_runs.queues import QUEUES


class CopyTaskParametersID(TaskRule):
    """The id under which the client stored a task's parameters goes along to the states in which they are needed."""

    from_states = frozenset({"SCHEDULED", "PENDING"})
    to_states = frozenset({"PENDING", "RUNNING"})

    def before(self, move: Move) -> None:
        if move.initial is not None and move.proposed is not None and not move.proposed.details["task_parameters_id"]:
            move.proposed.details["task_parameters_id"] = move.initial.details["task_parameters_id"]


class EnqueueScheduledTasks(TaskRule):
    """A scheduled background task is handed to task workers, once it is committed; one that retries goes first."""

    from_states = ALL_STATES
    to_states = frozenset({"SCHEDULED"})

    def after(self, move: Move) -> None:
        state = move.validated
        if state is not None and state.details["deferred"]:
            queues = move.kernel.stash[QUEUES]
            again = state.name == "AwaitingRetry"
            move.on_commit.append(partial(queues.announce, move.run["task_key"], move.run["id"], first=again))
