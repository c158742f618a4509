"""Trying again after a failure."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement
from prefect_kernel.sql.types import UUID
from prefect_kernel.transition import FlowRule, Move, Rule, State, TaskRule

from ...common.policies import with_old_keys
from ...concurrency_limits_v2.slots import clamped_poisson
from ...task_runs.tables import task_run
from ...task_runs.transitions import force
from .flow_concurrency import LEASE
from .flow_policy import change_policy, policy_value
from .versions import RETRIES_SINCE, knows_pauses

_FAILED_TASKS = Statement(
    sa.select(task_run.c.id).where(
        task_run.c.flow_run_id == sa.bindparam("run_id", type_=UUID()),
        task_run.c.state_type == sa.literal("FAILED", type_=task_run.c.state_type.type),
    )
)


def _awaiting_retry(move: Move, at: datetime, **details: Any) -> State:
    """The state of a run that has failed and will be tried again: it keeps the failure's message and data."""
    failed = move.proposed
    assert failed is not None
    return State(
        "SCHEDULED",
        name="AwaitingRetry",
        message=failed.message,
        data=failed.data,
        details={"scheduled_time": at, **details},
        timestamp=move.now,
    )


class RetryFailedFlows(FlowRule):
    """A failed flow run with retries left is scheduled again instead, for the same process to run."""

    from_states = frozenset({"RUNNING"})
    to_states = frozenset({"FAILED"})

    def before(self, move: Move) -> Any:
        if move.initial is None or move.proposed is None:
            return None
        retries = policy_value(move.run, "retries")
        if retries is None or move.run["run_count"] > retries:
            change_policy(move.run, retry_type=None)
            return None
        at = move.now + timedelta(seconds=policy_value(move.run, "retry_delay") or 0)
        if move.api_version is not None and move.api_version < RETRIES_SINCE:
            return self._retry_tasks_too(move, at)
        self._retry(move, at)
        return None

    @staticmethod
    def _retry(move: Move, at: datetime) -> None:
        assert move.initial is not None
        if knows_pauses(move):
            change_policy(move.run, resuming=False, pause_keys=[], retry_type="in_process")
        move.reject(_awaiting_retry(move, at, **{LEASE: move.initial.details[LEASE]}), "Retrying")

    def _retry_tasks_too(self, move: Move, at: datetime) -> Generator[Any, Any, None]:
        """Old clients do not run failed tasks again unless these are scheduled too, with their counts at zero."""
        for (task_run_id,) in (yield _FAILED_TASKS(run_id=move.run["id"])):
            state = State("SCHEDULED", name="AwaitingRetry", details={"scheduled_time": at}, timestamp=move.now)
            yield from force(move, task_run_id, state, run_count=0)
        self._retry(move, at)


class RetryFailedTasks(TaskRule):
    """A failed task run with retries left is scheduled again instead, unless its client says that it must not be."""

    from_states = frozenset({"RUNNING"})
    to_states = frozenset({"FAILED"})

    def before(self, move: Move) -> None:
        if move.initial is None or move.proposed is None or move.proposed.details["retriable"] is False:
            return
        policy, count = with_old_keys(move.run["empirical_policy"] or {}), move.run["run_count"]
        retries = policy.get("retries")
        if retries is None or count > retries:
            return
        delay = policy.get("retry_delay") or 0
        if isinstance(delay, list):
            delay = delay[min(count - 1, len(delay) - 1)]
        jitter = policy.get("retry_jitter_factor")
        if jitter and delay > 0:
            delay = clamped_poisson(delay, jitter)
        move.reject(_awaiting_retry(move, move.now + timedelta(seconds=delay)), "Retrying")


class RenameReruns(Rule):
    """A run that has run before says so in its state's name."""

    kind = "run"
    to_states = frozenset({"RUNNING"})

    def before(self, move: Move) -> None:
        if move.initial is not None and move.proposed is not None and move.run["run_count"] > 0:
            move.rename("Retrying" if move.initial.name == "AwaitingRetry" else "Rerunning")
