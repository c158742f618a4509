"""Trying again after a failure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel_plugins.concurrency_limits_v2.slots import clamped_poisson
from prefect_kernel_plugins.policies.rules.retries import RenameReruns, RetryFailedFlows, RetryFailedTasks

from .support import NOW, flow_run, judged, move, state, task_run, verdict


def failed_flow(run_count: int, retries: int | None, *, delay: Any = None, **options: Any) -> Any:
    """A flow run that fails, judged by the rule alone."""
    run = flow_run(run_count=run_count)
    run["empirical_policy"] |= {"retries": retries, "retry_delay": delay, "resuming": True, "pause_keys": ["k"]}
    run["empirical_policy"]["retry_type"] = "in_process"
    proposed = state("FAILED", message="boom", data={"type": "reference"})
    made = move(state("RUNNING", deployment_concurrency_lease_id="lease"), proposed, run=run, **options)
    return judged(made, [RetryFailedFlows])


@pytest.mark.parametrize(
    ("run_count", "retries", "again"),
    [(1, None, False), (1, 0, False), (1, 1, True), (2, 1, False), (2, 2, True), (0, 0, True)],
)
def test_a_flow_run_is_tried_as_often_as_it_has_retries(run_count: int, retries: int | None, again: bool) -> None:
    """The state is the server's; it keeps message, data and lease of the failed run."""
    made = failed_flow(run_count, retries)
    policy = made.run["empirical_policy"]
    if not again:
        assert verdict(made) == ("ACCEPT", None, "FAILED", "Failed")
        assert (policy["retry_type"], policy["resuming"], policy["pause_keys"]) == (None, True, ["k"])
        return
    assert verdict(made) == ("REJECT", "Retrying", "SCHEDULED", "AwaitingRetry")
    assert (made.validated.message, made.validated.data) == ("boom", {"type": "reference"})
    assert made.validated.details["deployment_concurrency_lease_id"] == "lease"
    assert made.validated.details["scheduled_time"] == NOW
    assert (policy["retry_type"], policy["resuming"], policy["pause_keys"]) == ("in_process", False, [])


def test_a_flow_runs_retry_waits_for_its_delay() -> None:
    """In seconds from now."""
    made = failed_flow(1, 3, delay=90)
    assert made.validated.details["scheduled_time"] == NOW + timedelta(seconds=90)


@pytest.mark.parametrize("policy", [{"max_retries": 1, "retry_delay_seconds": 5}, {"retries": 0, "max_retries": 1}])
def test_rows_of_old_servers_are_tried_again(policy: dict[str, Any]) -> None:
    """They hold the policy under the names that it had then, and nothing else."""
    run = {**flow_run(run_count=1), "empirical_policy": policy}
    made = judged(move(state("RUNNING"), state("FAILED"), run=run), [RetryFailedFlows])
    assert verdict(made) == ("REJECT", "Retrying", "SCHEDULED", "AwaitingRetry")
    assert made.validated is not None
    assert made.validated.details["scheduled_time"] == NOW + timedelta(seconds=policy.get("retry_delay_seconds", 0))
    assert made.run["empirical_policy"]["retries"] == 1
    task = failed_task(1, policy)
    assert verdict(task) == ("REJECT", "Retrying", "SCHEDULED", "AwaitingRetry")


@pytest.mark.parametrize("policy", [{}, {"retries": 0, "pause_keys": ["k"]}])
def test_policies_in_which_nothing_changes_are_not_written_anew(policy: dict[str, Any]) -> None:
    """A run that fails for good is set to no kind of retry; a row that names none is left as an old server wrote it."""
    run = {**flow_run(run_count=1), "empirical_policy": policy}
    made = judged(move(state("RUNNING"), state("FAILED"), run=run), [RetryFailedFlows])
    assert made.status == "ACCEPT"
    assert made.run["empirical_policy"] is policy


def test_clients_without_pauses_keep_their_pauses() -> None:
    """API version 0.8.3 does not know them, so they are left alone."""
    made = failed_flow(1, 3, api_version=(0, 8, 3))
    policy = made.run["empirical_policy"]
    assert (made.status, policy["resuming"], policy["pause_keys"]) == ("REJECT", True, ["k"])


# ---------------------------------------------------------------- task runs
def failed_task(run_count: int, policy: dict[str, Any], **details: Any) -> Any:
    """A task run that fails, judged by the rule alone."""
    proposed = state("FAILED", message="boom", data={"type": "reference"}, **details)
    run = task_run(run_count=run_count, empirical_policy=policy)
    return judged(move(state("RUNNING"), proposed, kind="task_run", run=run), [RetryFailedTasks])


@pytest.mark.parametrize(
    ("run_count", "policy", "delay"),
    [
        (1, {}, None),
        (1, {"retries": None}, None),
        (1, {"retries": 0}, None),
        (1, {"retries": 1}, 0),
        (2, {"retries": 1}, None),
        (2, {"retries": 2, "retry_delay": 4}, 4),
        (2, {"retries": 2, "retry_delay": 0.5}, 0.5),
        (1, {"retries": 5, "retry_delay": [1, 2, 3]}, 1),
        (2, {"retries": 5, "retry_delay": [1, 2, 3]}, 2),
        (5, {"retries": 5, "retry_delay": [1, 2, 3]}, 3),
        (1, {"retries": 5, "retry_delay": 0, "retry_jitter_factor": 0.5}, 0),
        (1, {"retries": 5, "retry_delay": [], "retry_jitter_factor": 0.5}, 0),
    ],
)
def test_a_task_run_is_tried_as_often_as_it_has_retries(
    run_count: int, policy: dict[str, Any], delay: float | None
) -> None:
    """With one delay for all retries, or one for each, the last for all further ones."""
    made = failed_task(run_count, policy)
    if delay is None:
        assert verdict(made) == ("ACCEPT", None, "FAILED", "Failed")
        return
    assert verdict(made) == ("REJECT", "Retrying", "SCHEDULED", "AwaitingRetry")
    assert (made.validated.message, made.validated.data) == ("boom", {"type": "reference"})
    assert made.validated.details["scheduled_time"] == NOW + timedelta(seconds=delay)


@pytest.mark.parametrize(("retriable", "again"), [(False, False), (True, True), (None, True)])
def test_the_client_may_say_that_a_task_must_not_be_tried_again(retriable: bool | None, again: bool) -> None:
    """Its retry condition was not met."""
    assert (failed_task(1, {"retries": 1}, retriable=retriable).status == "REJECT") is again


def test_jitter_spreads_delays_within_bounds() -> None:
    """Around the delay: above it by at most the factor, below it by as much probability."""
    factor, base = 0.5, 100
    waits = {
        (
            failed_task(1, {"retries": 1, "retry_delay": base, "retry_jitter_factor": factor}).validated.details[
                "scheduled_time"
            ]
            - NOW
        ).total_seconds()
        for _ in range(200)
    }
    assert len(waits) > 100
    assert base * 0.62 < min(waits) < max(waits) <= base * (1 + factor)


@pytest.mark.parametrize(("average", "factor", "least", "most"), [(10, 0.3, 7.5, 13), (10, 60, 0, 610), (3, 1, 1.2, 6)])
def test_clamped_waiting_times(average: float, factor: float, least: float, most: float) -> None:
    """Every sample lies between the bounds that the factor sets."""
    drawn = [clamped_poisson(average, factor) for _ in range(500)]
    assert all(least <= seconds <= most for seconds in drawn)
    assert sum(seconds < average * 0.7 for seconds in drawn) > 0 or factor < 0.5


def test_waiting_times_without_an_average_or_with_a_bad_factor() -> None:
    """Nothing to wait for, and nothing that could be meant."""
    assert clamped_poisson(0) == clamped_poisson(-1) == 0.0
    with pytest.raises(ValueError, match="clamping_factor"):
        clamped_poisson(1, 0)


# ---------------------------------------------------------------- RenameReruns
@pytest.mark.parametrize(
    ("run_count", "initial", "name"),
    [
        (0, state("PENDING"), "Running"),
        (1, state("PENDING"), "Rerunning"),
        (1, state("SCHEDULED", "AwaitingRetry"), "Retrying"),
        (0, state("SCHEDULED", "AwaitingRetry"), "Running"),
        (1, None, "Running"),
    ],
)
def test_names_of_reruns(run_count: int, initial: Any, name: str) -> None:
    """A run that has run before says so, and whether it was because of a failure."""
    made = judged(move(initial, state("RUNNING"), kind="task_run", run=task_run(run_count=run_count)), [RenameReruns])
    assert verdict(made)[3] == name
