"""Rules of task runs that judge by states and by the flow run alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel import errors
from prefect_kernel.declare import follow_up
from prefect_kernel.transition import DETAIL_DEFAULTS, STATE_TYPES, TERMINAL_STATES
from prefect_kernel_plugins.policies.rules.task_background import CopyTaskParametersID, EnqueueScheduledTasks
from prefect_kernel_plugins.policies.rules.task_bookkeeping import UpdateFlowRunTrackerOnTasks
from prefect_kernel_plugins.policies.rules.task_caching import CacheInsertion
from prefect_kernel_plugins.policies.rules.task_states import (
    HandleTaskTerminalStateTransitions,
    PreventRunningTasksFromStoppedFlows,
)

from .support import FLOW, NOW, RUN, FakeKernel, judged, move, state, task_run, verdict


def task_move(initial: Any, proposed: Any, *, flow: Any = None, kernel: Any = None, **columns: Any) -> Any:
    """A proposal to a task run of flow run FLOW, whose context `flow` is."""
    run = task_run(flow_run_id=FLOW, **columns)
    return move(initial, proposed, kind="task_run", run=run, context={"flow_run": flow}, kernel=kernel)


def in_flow(type: str | None, run_count: int = 1, **details: Any) -> dict[str, Any]:
    """The context of a flow run in a state."""
    its_state = None if type is None else {"type": type, "name": type, "details": {**DETAIL_DEFAULTS, **details}}
    return {"id": FLOW, "run_count": run_count, "state": its_state}


# ---------------------------------------------------------------- HandleTaskTerminalStateTransitions
def test_terminal_task_runs_do_not_crash_pause_or_cancel() -> None:
    """From each terminal state, each of these is an abort that names the state."""
    for initial in TERMINAL_STATES:
        for proposed in ("CANCELLING", "PAUSED", "CRASHED"):
            made = judged(task_move(state(initial), state(proposed)), [HandleTaskTerminalStateTransitions])
            assert verdict(made) == ("ABORT", f"Run is already {initial}.", None, None)


@pytest.mark.parametrize(
    ("type", "data", "stays"),
    [
        ("COMPLETED", {"type": "reference"}, True),
        ("COMPLETED", {"type": "unpersisted"}, False),
        ("COMPLETED", None, False),
        ("COMPLETED", {}, False),
        ("FAILED", {"type": "reference"}, False),
    ],
)
def test_a_completed_task_run_with_a_result_stays(type: str, data: Any, stays: bool) -> None:
    """For any proposal; the count of attempts begins anew for one that runs again."""
    made = judged(
        task_move(state(type, data=data), state("PENDING"), run_count=3), [HandleTaskTerminalStateTransitions]
    )
    if stays:
        assert verdict(made) == ("REJECT", "This run is already completed.", None, None)
    else:
        assert made.status == "ACCEPT"
    assert made.run["run_count"] == (3 if stays else 0)


def test_the_count_of_attempts_stays_among_terminal_states_and_comes_back() -> None:
    """It is reset for non-terminal states only, and restored when a later rule decides otherwise."""
    made = judged(task_move(state("FAILED"), state("COMPLETED"), run_count=3), [HandleTaskTerminalStateTransitions])
    assert made.run["run_count"] == 3
    stopped = task_move(state("FAILED"), state("RUNNING"), run_count=3, flow=in_flow("FAILED"))
    judged(stopped, [HandleTaskTerminalStateTransitions, PreventRunningTasksFromStoppedFlows])
    assert (stopped.status, stopped.run["run_count"]) == ("ABORT", 3)


@pytest.mark.parametrize(
    ("flow", "seen", "name"),
    [(in_flow("RUNNING", 2), 1, "Retrying"), (in_flow("RUNNING", 2), 2, "Running"), (None, 0, "Running")],
)
def test_a_task_run_in_a_later_attempt_of_its_flow_is_a_retry(flow: Any, seen: int, name: str) -> None:
    """It says so in its state's name."""
    made = task_move(state("FAILED"), state("RUNNING"), flow=flow, flow_run_run_count=seen)
    assert verdict(judged(made, [HandleTaskTerminalStateTransitions]))[3] == name


# ---------------------------------------------------------------- PreventRunningTasksFromStoppedFlows
@pytest.mark.parametrize("flow_state", [*STATE_TYPES, None])
def test_tasks_run_while_their_flow_does(flow_state: str | None) -> None:
    """Otherwise their client must stop, or wait while the flow is paused."""
    made = judged(
        task_move(state("PENDING"), state("RUNNING"), flow=in_flow(flow_state)),
        [PreventRunningTasksFromStoppedFlows],
    )
    if flow_state == "RUNNING":
        assert made.status == "ACCEPT"
    elif flow_state == "PAUSED":
        reason = f"The flow is paused, new tasks can execute after resuming flow run: {FLOW}."
        assert verdict(made) == ("REJECT", reason, "PAUSED", "NotReady")
    else:
        reason = "The enclosing flow must be running to begin task execution."
        assert verdict(made) == ("ABORT", reason, None, None)


def test_a_task_of_a_paused_flow_waits_as_long_as_its_flow() -> None:
    """With the flow's deadline, and its way to pause."""
    until = NOW + timedelta(hours=1)
    flow = in_flow("PAUSED", pause_timeout=until, pause_reschedule=True, pause_key="k")
    made = judged(task_move(state("PENDING"), state("RUNNING"), flow=flow), [PreventRunningTasksFromStoppedFlows])
    assert made.validated is not None
    details = made.validated.details
    assert (details["pause_timeout"], details["pause_reschedule"], details["pause_key"]) == (until, True, None)


def test_tasks_without_a_flow_run_freely() -> None:
    """Background tasks, and runs whose flow run is gone."""
    made = judged(task_move(state("PENDING"), state("RUNNING")), [PreventRunningTasksFromStoppedFlows])
    assert made.status == "ACCEPT"


# ---------------------------------------------------------------- the others
def test_a_task_run_remembers_its_flow_runs_attempt() -> None:
    """When it begins to run."""
    made = judged(
        task_move(state("PENDING"), state("RUNNING"), flow=in_flow("RUNNING", 4)), [UpdateFlowRunTrackerOnTasks]
    )
    assert made.run["flow_run_run_count"] == 4


def test_without_its_flow_run_a_task_run_does_not_begin() -> None:
    """The row may have been deleted."""
    with pytest.raises(errors.ObjectNotFound, match=f"task run: {RUN}, this flow run might have been deleted"):
        judged(task_move(state("PENDING"), state("RUNNING")), [UpdateFlowRunTrackerOnTasks])


@pytest.mark.parametrize(("own", "kept"), [(None, "p"), ("q", "q")])
def test_the_id_of_the_parameters_goes_along(own: str | None, kept: str) -> None:
    """From SCHEDULED over PENDING to RUNNING, unless the client names another."""
    for initial, proposed in (("SCHEDULED", "PENDING"), ("PENDING", "RUNNING")):
        made = judged(
            task_move(state(initial, task_parameters_id="p"), state(proposed, task_parameters_id=own)),
            [CopyTaskParametersID],
        )
        assert made.validated is not None
        assert made.validated.details["task_parameters_id"] == kept


@pytest.mark.parametrize(
    ("name", "deferred", "queued"),
    [
        (None, True, [("add-1", RUN, False)]),
        ("AwaitingRetry", True, [("add-1", RUN, True)]),
        (None, False, []),
    ],
)
def test_background_tasks_are_handed_out_after_the_commit(name: str | None, deferred: bool, queued: list[Any]) -> None:
    """Not before, and only deferred ones; retries first."""
    kernel = FakeKernel()
    made = judged(
        task_move(state("PENDING"), state("SCHEDULED", name, deferred=deferred), kernel=kernel), [EnqueueScheduledTasks]
    )
    assert kernel.task_queues.calls == []
    asyncio.run(follow_up(made.on_commit))
    assert kernel.task_queues.calls == queued


@pytest.mark.parametrize(("length", "refused"), [(2000, False), (2001, True)])
def test_long_cache_keys_are_refused_but_kept(length: int, refused: bool) -> None:
    """The state is committed as proposed and cached all the same, with a reason for the client."""
    made = judged(task_move(state("RUNNING"), state("COMPLETED", cache_key="k" * length)), [CacheInsertion])
    reason = "Cache key exceeded maximum allowed length of 2000 characters."
    assert verdict(made) == ("REJECT" if refused else "ACCEPT", reason if refused else None, "COMPLETED", "Completed")
    ((call, _),) = made.writes
    assert made.validated is not None
    assert call.params["task_run_state_id"] == made.validated.id


def test_states_without_a_cache_key_are_not_cached() -> None:
    """There is nothing to find them by."""
    assert judged(task_move(state("RUNNING"), state("COMPLETED")), [CacheInsertion]).writes == []
