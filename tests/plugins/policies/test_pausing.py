"""Pausing, suspending and resuming flow runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.transition import STATE_TYPES
from prefect_kernel_plugins.policies.rules.flow_pausing import HandlePausingFlows, HandleResumingPausedFlows

from .support import DEPLOYMENT, NOW, PARENT, flow_run, judged, move, state, verdict


def pause(name: str | None = None, initial: Any = None, run: Any = None, **details: Any) -> Any:
    """A proposal to pause, judged by the rule alone."""
    given = state("RUNNING") if initial is None else initial
    return judged(move(given, state("PAUSED", name, **details), run=run), [HandlePausingFlows])


@pytest.mark.parametrize(("name", "verb"), [(None, "pause"), ("Suspended", "suspend")])
def test_only_a_running_flow_pauses(name: str | None, verb: str) -> None:
    """From any other state it is refused; without a state it is an abort."""
    for initial in set(STATE_TYPES) - {"RUNNING"}:
        made = pause(name, state(initial))
        assert verdict(made) == ("REJECT", f"Cannot {verb} flows that are not currently running.", None, None)
    made = judged(move(None, state("PAUSED", name)), [HandlePausingFlows])
    assert verdict(made) == ("ABORT", f"Cannot {verb} flows with no state.", None, None)


@pytest.mark.parametrize(("name", "verb"), [(None, "pause"), ("Suspended", "suspend")])
def test_a_pause_fires_once(name: str | None, verb: str) -> None:
    """Its key is remembered; a second pause with the key is refused, one with another key is not."""
    run = flow_run()
    assert pause(name, run=run, pause_key="k").status == "ACCEPT"
    assert run["empirical_policy"]["pause_keys"] == ["k"]
    again = pause(name, run=run, pause_key="k")
    assert verdict(again) == ("REJECT", f"This {verb} has already fired.", None, None)
    assert run["empirical_policy"]["pause_keys"] == ["k"]
    assert pause(name, run=run, pause_key="l").status == "ACCEPT"
    assert run["empirical_policy"]["pause_keys"] == ["k", "l"]


def test_a_pause_without_a_key_gets_one() -> None:
    """So it can fire any number of times."""
    run = flow_run()
    pause(run=run)
    pause(run=run)
    assert len(set(run["empirical_policy"]["pause_keys"])) == 2


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"deployment_id": DEPLOYMENT}, ("ACCEPT", None)),
        ({}, ("ABORT", "Cannot suspend flows without a deployment.")),
        ({"deployment_id": DEPLOYMENT, "parent_task_run_id": PARENT}, ("ABORT", "Cannot suspend subflows.")),
        ({"parent_task_run_id": PARENT}, ("ABORT", "Cannot suspend subflows.")),
    ],
)
def test_leaving_the_process_needs_a_deployment(columns: dict[str, Any], expected: tuple[str, str | None]) -> None:
    """A subflow cannot leave its parent's process, an ad-hoc run has nobody to start it again."""
    run = flow_run(**columns)
    assert verdict(pause("Suspended", run=run, pause_reschedule=True, pause_key="k"))[:2] == expected
    assert run["empirical_policy"]["pause_keys"] == (["k"] if expected[0] == "ACCEPT" else [])
    assert pause("Suspended", run=flow_run(**columns)).status == "ACCEPT"


# ---------------------------------------------------------------- resuming
def resume(proposed: Any, run: Any = None, **details: Any) -> Any:
    """A proposal to a paused run, judged by the rule alone."""
    return judged(move(state("PAUSED", **details), proposed, run=run), [HandleResumingPausedFlows])


def test_ways_out_of_a_pause() -> None:
    """To run, to wait, to be cancelled, or to end; the enumeration's members are told as Prefect prints them."""
    for type in STATE_TYPES:
        made = resume(state(type))
        if type in ("PENDING", "PAUSED"):
            reason = f"This run cannot transition to the StateType.{type} state from the StateType.PAUSED state."
            assert verdict(made) == ("REJECT", reason, None, None)
        else:
            assert made.status == "ACCEPT"


def test_the_run_is_marked_as_resuming() -> None:
    """After any proposal, also a refused one, since the rule is for all types of states."""
    for proposed in (state("RUNNING"), state("PENDING")):
        run = flow_run()
        resume(proposed, run)
        assert run["empirical_policy"]["resuming"] is True


@pytest.mark.parametrize("name", [None, "Resuming"])
def test_a_suspended_run_needs_a_deployment(name: str | None) -> None:
    """Nobody could start it again."""
    made = resume(state("SCHEDULED", name), pause_reschedule=True)
    shown = (name or "Scheduled").lower()
    assert verdict(made) == (
        "REJECT",
        f"Cannot reschedule a {shown} flow run without a deployment.",
        None,
        None,
    )
    deployed = resume(state("SCHEDULED", name), flow_run(deployment_id=DEPLOYMENT), pause_reschedule=True)
    assert deployed.status == "ACCEPT"


@pytest.mark.parametrize(("type", "name", "verb"), [("RUNNING", None, "pause"), ("SCHEDULED", "Suspended", "suspend")])
def test_after_its_deadline_a_paused_run_fails(type: str, name: str | None, verb: str) -> None:
    """With a message that says so; before the deadline it goes on."""
    late = resume(state(type, name), pause_timeout=NOW - timedelta(microseconds=1))
    assert verdict(late) == (
        "REJECT",
        f"The flow run {verb} has timed out and can no longer resume.",
        "FAILED",
        "Failed",
    )
    assert late.validated.message == f"The flow was {(name or type).lower()} and never resumed."
    assert resume(state(type, name), pause_timeout=NOW).status == "ACCEPT"


def test_cancelling_is_possible_after_the_deadline() -> None:
    """The process that waits must hear of it."""
    assert resume(state("CANCELLING"), pause_timeout=NOW - timedelta(hours=1)).status == "ACCEPT"
