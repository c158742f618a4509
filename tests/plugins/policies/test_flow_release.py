"""Runs of a deployment that stop give their slot back: what is decided and declared, without a database."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel.transition import Move
from prefect_kernel_plugins.policies.rules.flow_concurrency import ReleaseFlowConcurrencySlots

from .leasing import LEASE, commit, deployed, hold, lease, slots
from .support import LIMIT, FakeKernel, deployment, judged, move, state, verdict


def stop(kernel: FakeKernel, initial: str, proposed: Any, lease_id: str | None, context: Any = None) -> Move:
    """A transition out of a state that may hold a slot."""
    made = move(
        state(initial, **{LEASE: lease_id}),
        proposed,
        run=deployed(),
        context=deployment({"active_slots": 1}) if context is None else context,
        kernel=kernel,
    )
    return judged(made, [ReleaseFlowConcurrencySlots])


@pytest.mark.parametrize("initial", ["PENDING", "RUNNING", "CANCELLING"])
@pytest.mark.parametrize("proposed", ["COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "SCHEDULED"])
def test_a_run_that_stops_gives_back_what_its_lease_says(initial: str, proposed: str) -> None:
    """As many slots as the lease has, and the lease ends with the commit."""
    kernel = FakeKernel()
    held = hold(kernel, slots=3)
    made = stop(kernel, initial, state(proposed), held.id)
    assert slots(made) == [("give", [LIMIT], 3, None)]
    assert lease(kernel, held.id) is not None
    commit(made)
    assert lease(kernel, held.id) is None


@pytest.mark.parametrize("id", [None, "gone"])
def test_without_its_lease_it_gives_back_one_slot(id: str | None) -> None:
    """Of the deployment's limit."""
    made = stop(FakeKernel(), "RUNNING", state("COMPLETED"), id)
    assert (slots(made), made.on_commit) == ([("give", [LIMIT], 1, None)], [])


@pytest.mark.parametrize(
    ("initial", "proposed"),
    [("RUNNING", "CANCELLING"), ("PENDING", "RUNNING"), ("SCHEDULED", "COMPLETED"), ("PAUSED", "COMPLETED")],
)
def test_other_transitions_give_nothing_back(initial: str, proposed: str) -> None:
    """The run goes on holding its slot, or holds none."""
    assert stop(FakeKernel(), initial, state(proposed), None).writes == []


@pytest.mark.parametrize("context", [deployment(None), {"deployment": None}])
def test_without_a_limit_there_is_nothing_to_give_back(context: Any) -> None:
    """Also when it was deleted in the meantime."""
    assert stop(FakeKernel(), "RUNNING", state("COMPLETED"), None, context).writes == []
    assert stop(FakeKernel(), "RUNNING", state("COMPLETED"), "gone", context).writes == []


def test_a_retry_in_the_process_keeps_the_slot() -> None:
    """It is the server's answer to a failure; the client keeps its lease up while it waits."""
    kernel = FakeKernel()
    held = hold(kernel)
    run = deployed(run_count=1)
    run["empirical_policy"] |= {"retries": 1}
    made = move(state("RUNNING", **{LEASE: held.id}), state("FAILED"), run=run, context=deployment({}), kernel=kernel)
    judged(made, "core-flow")
    assert verdict(made) == ("REJECT", "Retrying", "SCHEDULED", "AwaitingRetry")
    assert made.validated is not None
    assert made.validated.details[LEASE] == held.id
    assert (made.writes, made.on_commit) == ([], [])


def test_a_retry_that_leaves_the_process_gives_the_slot_back() -> None:
    """The client itself proposes to wait."""
    kernel = FakeKernel()
    made = stop(kernel, "RUNNING", state("SCHEDULED", "AwaitingRetry"), hold(kernel).id)
    assert slots(made) == [("give", [LIMIT], 1, None)]


def test_a_refused_transition_gives_nothing_back() -> None:
    """The run is where it was."""
    kernel = FakeKernel()
    made = move(
        state("CANCELLING", **{LEASE: hold(kernel).id}),
        state("COMPLETED"),
        run=deployed(),
        context=deployment({}),
        kernel=kernel,
    )
    judged(made, "core-flow")
    assert (made.status, made.writes, made.on_commit) == ("REJECT", [], [])
