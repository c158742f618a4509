"""Rules of flow runs that judge by states alone: when each fires, when not, and what the client is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.transition import STATE_TYPES, TERMINAL_STATES
from prefect_kernel_plugins.policies.rules.admission import (
    CopyScheduledTime,
    EnsureOnlyScheduledFlowsMarkedLate,
    PreventDuplicateTransitions,
    PreventPendingTransitions,
    WaitForScheduledTime,
)
from prefect_kernel_plugins.policies.rules.flow_cancelling import (
    BypassCancellingFlowRunsWithNoInfra,
    EnforceCancellingToCancelledTransition,
)
from prefect_kernel_plugins.policies.rules.flow_terminal import (
    HandleFlowTerminalStateTransitions,
    PreventResultDataLoss,
)

from .support import DEPLOYMENT, NOW, flow_run, judged, move, state, verdict

RESULT = {"type": "reference", "storage_key": "k"}
ALREADY = "This run has already made this state transition."
LOSES = "Cannot overwrite a COMPLETED state that carries persisted result data with one that does not."


# ---------------------------------------------------------------- PreventDuplicateTransitions
@pytest.mark.parametrize(
    ("before", "proposed", "fires"),
    [("a", "a", True), ("a", "b", False), (None, None, False), ("a", None, False), (None, "a", False)],
)
def test_duplicates(before: str | None, proposed: str | None, fires: bool) -> None:
    """Only two equal transition ids make a repetition; the run stays as it is."""
    made = judged(
        move(state("RUNNING", transition_id=before), state("RUNNING", transition_id=proposed)),
        [PreventDuplicateTransitions],
    )
    assert verdict(made) == (("REJECT", ALREADY, None, None) if fires else ("ACCEPT", None, "RUNNING", "Running"))


def test_a_first_state_is_no_duplicate() -> None:
    """A run without a state cannot have made the transition."""
    made = judged(move(None, state("PENDING", transition_id="a")), [PreventDuplicateTransitions])
    assert made.status == "ACCEPT"


# ---------------------------------------------------------------- HandleFlowTerminalStateTransitions
def test_terminal_runs_do_not_crash_pause_or_cancel() -> None:
    """From each terminal state, each of these is an abort that names the state."""
    for initial in TERMINAL_STATES:
        for proposed in ("CANCELLING", "PAUSED", "CRASHED"):
            made = judged(move(state(initial), state(proposed)), [HandleFlowTerminalStateTransitions])
            assert verdict(made) == ("ABORT", f"Run is already in terminal state {initial}.", None, None)


@pytest.mark.parametrize(
    ("initial", "proposed", "expected"),
    [
        # A completed run with a result stays; without one it may run again.
        (state("COMPLETED", data=RESULT), state("RUNNING"), ("REJECT", "Run is already COMPLETED.")),
        (state("COMPLETED", data={"type": "unpersisted"}), state("RUNNING"), ("ACCEPT", None)),
        (state("COMPLETED", data=[1]), state("RUNNING"), ("ACCEPT", None)),
        (state("COMPLETED", data={}), state("RUNNING"), ("ACCEPT", None)),
        (state("COMPLETED"), state("RUNNING"), ("ACCEPT", None)),
        (state("FAILED", data=RESULT), state("RUNNING"), ("ACCEPT", None)),
        # It may complete again, but not lose its result by that.
        (state("COMPLETED", data=RESULT), state("COMPLETED"), ("REJECT", LOSES)),
        (state("COMPLETED", data=RESULT), state("COMPLETED", data={"type": "unpersisted"}), ("REJECT", LOSES)),
        (state("COMPLETED", data=RESULT), state("COMPLETED", data=[1]), ("REJECT", LOSES)),
        (state("COMPLETED", data=RESULT), state("COMPLETED", data=RESULT), ("ACCEPT", None)),
        (state("COMPLETED", data=RESULT), state("COMPLETED", data={}), ("ACCEPT", None)),
        (state("COMPLETED", data=RESULT), state("FAILED"), ("ACCEPT", None)),
        (state("FAILED", data=RESULT), state("COMPLETED"), ("ACCEPT", None)),
        # Rescheduling needs a deployment.
        (
            state("FAILED"),
            state("SCHEDULED"),
            ("ABORT", "Cannot reschedule a run without an associated deployment."),
        ),
    ],
)
def test_leaving_a_terminal_state(initial: Any, proposed: Any, expected: tuple[str, str | None]) -> None:
    """What may follow the end of a run."""
    made = judged(move(initial.copy(), proposed.copy()), [HandleFlowTerminalStateTransitions])
    assert verdict(made)[:2] == expected


@pytest.mark.parametrize(
    ("proposed", "api_version", "retry_type", "reset"),
    [
        ("SCHEDULED", None, "reschedule", True),
        ("SCHEDULED", (0, 8, 4), "reschedule", True),
        ("PENDING", (0, 8, 4), None, True),
        ("SCHEDULED", (0, 8, 3), "in_process", False),
        ("FAILED", None, "in_process", False),
    ],
)
def test_a_run_that_runs_again_forgets_its_pauses(
    proposed: str, api_version: Any, retry_type: str | None, reset: bool
) -> None:
    """Unless it stays terminal, or its client does not know pauses."""
    run = flow_run(deployment_id=DEPLOYMENT)
    run["empirical_policy"] |= {"resuming": True, "pause_keys": ["k"], "retry_type": "in_process"}
    made = judged(
        move(state("CRASHED"), state(proposed), run=run, api_version=api_version),
        [HandleFlowTerminalStateTransitions],
    )
    policy = made.run["empirical_policy"]
    assert policy["retry_type"] == retry_type
    assert (policy["resuming"], policy["pause_keys"]) == ((False, []) if reset else (True, ["k"]))


def test_pauses_come_back_when_a_later_rule_decides_otherwise() -> None:
    """Cleanup restores the policy as it was."""
    run = flow_run(deployment_id=DEPLOYMENT)
    run["empirical_policy"] |= {"pause_keys": ["k"], "retry_type": "in_process"}
    before = dict(run["empirical_policy"])
    made = judged(
        move(state("CANCELLED"), state("PENDING"), run=run),
        [HandleFlowTerminalStateTransitions, PreventPendingTransitions],
    )
    assert made.status == "ABORT"
    assert made.run["empirical_policy"] == before


def test_also_a_forced_transition_loses_no_result() -> None:
    """PreventResultDataLoss judges completed to completed as the rule above does, and nothing else."""
    loses = move(state("COMPLETED", data=RESULT), state("COMPLETED"))
    assert verdict(judged(loses, [PreventResultDataLoss])) == ("REJECT", LOSES, None, None)
    for initial, proposed in [
        (state("COMPLETED", data=RESULT), state("COMPLETED", data=RESULT)),
        (state("COMPLETED", data=RESULT), state("FAILED")),
        (state("COMPLETED", data=RESULT), state("RUNNING")),
        (state("COMPLETED"), state("COMPLETED")),
    ]:
        assert judged(move(initial, proposed), [PreventResultDataLoss]).status == "ACCEPT"


# ---------------------------------------------------------------- cancelling
def test_cancelling_ends_in_cancelled_only() -> None:
    """Every other type of state is refused."""
    reason = "Cannot transition flows that are cancelling to a state other than Cancelled."
    for proposed in STATE_TYPES:
        made = judged(move(state("CANCELLING"), state(proposed)), [EnforceCancellingToCancelledTransition])
        if proposed == "CANCELLED":
            assert made.status == "ACCEPT"
        else:
            assert verdict(made) == ("REJECT", reason, None, None)


@pytest.mark.parametrize(
    ("initial", "pid", "kind"),
    [
        (state("SCHEDULED"), None, "Scheduled"),
        (state("SCHEDULED"), "host:1", None),
        (state("SCHEDULED", "AwaitingRetry"), "host:1", None),
        (state("SCHEDULED", "Resuming"), "host:1", "Scheduled"),
        (state("PAUSED", pause_reschedule=True), "host:1", "Suspended"),
        (state("PAUSED"), None, None),
        (state("PENDING"), None, None),
        (state("RUNNING"), None, None),
    ],
)
def test_without_infrastructure_cancelling_is_over_at_once(initial: Any, pid: str | None, kind: str | None) -> None:
    """Scheduled without a process, resuming, or suspended: the run is cancelled instead."""
    made = judged(
        move(initial.copy(), state("CANCELLING"), run=flow_run(infrastructure_pid=pid)),
        [BypassCancellingFlowRunsWithNoInfra],
    )
    if kind is None:
        assert verdict(made) == ("ACCEPT", None, "CANCELLING", "Cancelling")
    else:
        reason = f"{kind} flow run has no infrastructure to terminate."
        assert verdict(made) == ("REJECT", reason, "CANCELLED", "Cancelled")


def test_a_forced_cancellation_of_a_scheduled_run_is_cancelled_too() -> None:
    """The rule is in the policy of forced transitions as well."""
    made = judged(move(state("SCHEDULED"), state("CANCELLING")), "minimal-flow")
    assert verdict(made)[2] == "CANCELLED"


# ---------------------------------------------------------------- PreventPendingTransitions
@pytest.mark.parametrize(
    ("initial", "proposed", "aborts"),
    [
        (state("PENDING"), state("PENDING"), True),
        (state("PENDING"), state("PENDING", "Submitting"), False),
        (state("PENDING", "Submitting"), state("PENDING", "InfrastructurePending"), False),
        (state("PENDING", "Submitting"), state("PENDING", "Submitting"), True),
        (state("PENDING", "Submitting"), state("PENDING"), True),
        (state("RUNNING"), state("PENDING", "Submitting"), True),
        (state("RUNNING"), state("PENDING"), True),
        (state("CANCELLING"), state("PENDING"), True),
        (state("CANCELLED"), state("PENDING"), True),
        (state("SCHEDULED"), state("PENDING"), False),
        (state("FAILED"), state("PENDING"), False),
    ],
)
def test_a_run_is_submitted_once(initial: Any, proposed: Any, aborts: bool) -> None:
    """PENDING may follow PENDING only under a new name that is not the default one."""
    made = judged(move(initial.copy(), proposed.copy()), [PreventPendingTransitions])
    reason = f"This run is in a {initial.type} state and cannot transition to a PENDING state."
    assert verdict(made)[:2] == (("ABORT", reason) if aborts else ("ACCEPT", None))


def test_steps_within_pending_keep_what_was_found_out() -> None:
    """Scheduled time and lease are the earlier state's, whatever the client sent."""
    initial = state("PENDING", scheduled_time=NOW, deployment_concurrency_lease_id="lease")
    later = NOW + timedelta(hours=1)
    made = judged(move(initial, state("PENDING", "Submitting", scheduled_time=later)), [PreventPendingTransitions])
    assert made.validated is not None
    assert made.validated.details["scheduled_time"] == NOW
    assert made.validated.details["deployment_concurrency_lease_id"] == "lease"


# ---------------------------------------------------------------- lateness and schedules
@pytest.mark.parametrize(
    ("initial", "name", "reason"),
    [
        (state("SCHEDULED"), "Late", None),
        (state("SCHEDULED", "Late"), "Late", "This flow run is already marked late."),
        (state("PENDING"), "Late", "Only scheduled flows can be marked late."),
        (state("RUNNING"), "Late", "Only scheduled flows can be marked late."),
        (state("PENDING"), "AwaitingRetry", None),
        (state("SCHEDULED", "Late"), "Scheduled", None),
    ],
)
def test_lateness(initial: Any, name: str, reason: str | None) -> None:
    """Only scheduled runs are marked late, and once; other scheduled states are not looked at."""
    made = judged(move(initial.copy(), state("SCHEDULED", name)), [EnsureOnlyScheduledFlowsMarkedLate])
    assert verdict(made)[:2] == (("ACCEPT", None) if reason is None else ("REJECT", reason))


def test_a_pending_state_keeps_the_scheduled_time() -> None:
    """Unless it brings its own."""
    later = NOW + timedelta(minutes=3)
    kept = judged(move(state("SCHEDULED", scheduled_time=NOW), state("PENDING")), [CopyScheduledTime])
    own = judged(
        move(state("SCHEDULED", scheduled_time=NOW), state("PENDING", scheduled_time=later)), [CopyScheduledTime]
    )
    assert kept.validated is not None
    assert kept.validated.details["scheduled_time"] == NOW
    assert own.validated is not None
    assert own.validated.details["scheduled_time"] == later


@pytest.mark.parametrize(
    ("ahead", "seconds"),
    [
        (timedelta(seconds=90), 90),
        (timedelta(seconds=1.4), 1),
        (timedelta(seconds=1.6), 2),
        (timedelta(seconds=0.6), 1),
        (timedelta(seconds=0.4), 0),
        (timedelta(0), 0),
        (timedelta(seconds=-0.4), 0),
        (timedelta(seconds=-30), 0),
    ],
)
def test_nothing_runs_before_its_time(ahead: timedelta, seconds: int) -> None:
    """The client waits whole seconds, rounded; what is due, or nearly, runs."""
    for initial in ("SCHEDULED", "PENDING"):
        made = judged(move(state(initial, scheduled_time=NOW + ahead), state("RUNNING")), [WaitForScheduledTime])
        if seconds:
            details = {
                "type": "wait_details",
                "delay_seconds": seconds,
                "reason": "Scheduled time is in the future",
            }
            assert (made.status, made.details, made.validated) == ("WAIT", details, None)
        else:
            assert made.status == "ACCEPT"


def test_a_run_without_a_schedule_need_not_wait() -> None:
    """A pending state without a scheduled time, and a first state, run at once."""
    assert judged(move(state("PENDING"), state("RUNNING")), [WaitForScheduledTime]).status == "ACCEPT"
    assert judged(move(None, state("RUNNING")), [WaitForScheduledTime]).status == "ACCEPT"
