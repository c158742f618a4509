"""Concurrency limits of deployments: what is decided and declared, without a database."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from prefect_kernel.ports.leases import Lease
from prefect_kernel.transition import Move
from prefect_kernel_plugins.policies.rules.flow_concurrency import (
    EnforceDeploymentConcurrencyOnLate,
    PreserveDeploymentConcurrencyLeaseId,
    RemoveDeploymentConcurrencyLeaseForOldClientVersions,
    SecureFlowConcurrencySlots,
    ValidateDeploymentConcurrencyAtRunning,
)
from prefect_kernel_plugins.policies.rules.flow_pausing import HandleResumingPausedFlows

from .leasing import LEASE, answer, commit, deployed, hold, lease, slots
from .support import (
    LIMIT,
    NOW,
    RUN,
    FakeKernel,
    deployment,
    judged,
    move,
    no_reads,
    run_reads,
    state,
    verdict,
)

REACHED = "Deployment concurrency limit reached."
CLIENT = "3.8.8"


# ---------------------------------------------------------------- PreserveDeploymentConcurrencyLeaseId
@pytest.mark.parametrize(
    ("before", "sent", "kept"), [("a", None, "a"), ("a", "b", "b"), (None, "b", "b"), (None, None, None)]
)
def test_the_lease_goes_along(before: str | None, sent: str | None, kept: str | None) -> None:
    """From state to state, unless the proposal names another."""
    made = judged(
        move(state("PENDING", **{LEASE: before}), state("RUNNING", **{LEASE: sent})),
        [PreserveDeploymentConcurrencyLeaseId],
    )
    assert made.validated is not None
    assert made.validated.details[LEASE] == kept


# ---------------------------------------------------------------- SecureFlowConcurrencySlots
def secure(context: dict[str, Any], *rules: Any, initial: Any = None, **options: Any) -> Move:
    """A proposal to become pending."""
    made = move(
        state("SCHEDULED") if initial is None else initial,
        state("PENDING"),
        run=deployed(),
        context=context,
        **options,
    )
    return judged(made, [SecureFlowConcurrencySlots, *rules])


def test_a_free_slot_is_taken_with_a_lease() -> None:
    """The state names the lease; slot and lease are only declared, and the lease is there after the commit."""
    kernel = FakeKernel()
    made = secure(deployment({}), kernel=kernel)
    assert made.status == "ACCEPT"
    assert slots(made) == [("take", [LIMIT], 1, 1)]
    assert made.validated is not None
    id = made.validated.details[LEASE]
    assert lease(kernel, id) is None
    commit(made)
    holder = {"type": "flow_run", "id": RUN}
    assert lease(kernel, id) == Lease(id, (LIMIT,), 1, NOW, NOW + timedelta(seconds=300), holder)


def test_the_grace_period_of_the_deployment_is_the_leases_time() -> None:
    """In place of the server's own."""
    kernel = FakeKernel()
    made = secure(deployment({}, collision_strategy="ENQUEUE", grace_period_seconds=77), kernel=kernel)
    commit(made)
    assert made.validated is not None
    found = lease(kernel, made.validated.details[LEASE])
    assert found is not None
    assert found.expires == NOW + timedelta(seconds=77)


@pytest.mark.parametrize(
    ("limit", "options"),
    [({"active_slots": 1}, {}), ({"active": False}, {}), ({"active_slots": 1}, {"collision_strategy": "ENQUEUE"})],
)
def test_without_a_free_slot_the_run_waits(limit: dict[str, Any], options: dict[str, Any]) -> None:
    """In a scheduled state of its own name, half a minute later; nothing is taken."""
    made = secure(deployment(limit, **options))
    assert verdict(made) == ("REJECT", REACHED, "SCHEDULED", "AwaitingConcurrencySlot")
    assert made.validated is not None
    assert made.validated.details["scheduled_time"] == NOW + timedelta(seconds=30)
    assert (made.writes, made.on_commit) == ([], [])


def test_where_new_runs_are_cancelled_this_one_is() -> None:
    """With the collision strategy CANCEL_NEW."""
    made = secure(deployment({"active_slots": 1}, collision_strategy="CANCEL_NEW"))
    assert verdict(made) == ("REJECT", REACHED, "CANCELLED", "Cancelled")
    assert made.validated is not None
    assert made.validated.message == REACHED


def test_a_limit_of_zero_is_an_abort() -> None:
    """Waiting would never end."""
    made = secure(deployment({"limit": 0}))
    reason = "The deployment concurrency limit is 0. The flow will deadlock if submitted again."
    assert verdict(made) == ("ABORT", reason, None, None)


def test_a_deployment_that_is_gone_is_an_abort() -> None:
    """The run cannot be judged."""
    assert verdict(secure({"deployment": None})) == ("ABORT", "Deployment not found.", None, None)


def test_no_limit_no_slot() -> None:
    """Nothing is declared for deployments without a limit, and for runs without a deployment."""
    made = secure(deployment(None))
    assert (made.status, made.writes, made.on_commit) == ("ACCEPT", [], [])
    made = judged(move(state("SCHEDULED"), state("PENDING")), [SecureFlowConcurrencySlots])
    assert (made.status, made.writes) == ("ACCEPT", [])


@pytest.mark.parametrize(("version", "takes"), [("3.0.3", False), ("3.0.0rc20", False), ("3.0.4", True), (None, True)])
def test_workers_that_take_slots_themselves(version: str | None, takes: bool) -> None:
    """For a few client versions the server stays out of it."""
    made = secure(deployment({}), client_version=version)
    assert bool(made.writes) is takes


@pytest.mark.parametrize("initial", ["PENDING", "RUNNING", "CANCELLING"])
def test_a_run_that_holds_a_slot_takes_no_second_one(initial: str) -> None:
    """The rule is not for these states."""
    made = secure(deployment({}), initial=state(initial))
    assert (made.status, made.writes) == ("ACCEPT", [])


def test_a_later_refusal_leaves_no_slot_taken() -> None:
    """The rule fizzles before it has declared anything."""
    made = secure(deployment({}), HandleResumingPausedFlows, initial=state("PAUSED"))
    assert (made.status, made.validated) == ("REJECT", None)
    assert (made.writes, made.on_commit) == ([], [])


def test_a_limit_that_decays_is_asked_of_the_database() -> None:
    """Decision and write must agree to the last digit."""
    context = deployment({"active_slots": 5, "slot_decay_per_second": 0.5})
    for rows, status in (([(LIMIT,)], "ACCEPT"), ([], "REJECT")):
        made = move(state("SCHEDULED"), state("PENDING"), run=deployed(), context=context)
        judged(made, [SecureFlowConcurrencySlots], answers=partial(answer, rows))
        assert made.status == status


# ---------------------------------------------------------------- ValidateDeploymentConcurrencyAtRunning
def start(
    context: dict[str, Any], lease_id: str | None, kernel: FakeKernel, version: str | None = CLIENT, **initial: Any
) -> Move:
    """A proposal of a pending run to run."""
    made = move(
        state("PENDING", **{LEASE: lease_id, **initial}),
        state("RUNNING"),
        run=deployed(),
        context=context,
        kernel=kernel,
        client_version=version,
    )
    return judged(made, [ValidateDeploymentConcurrencyAtRunning])


def test_a_lease_that_is_there_is_renewed() -> None:
    """With the commit, and the run keeps it."""
    kernel = FakeKernel()
    held = hold(kernel)
    made = start(deployment({"active_slots": 1}), held.id, kernel)
    assert (made.status, made.writes) == ("ACCEPT", [])
    commit(made)
    assert made.validated is not None
    assert made.validated.details[LEASE] == held.id
    found = lease(kernel, held.id)
    assert found is not None
    assert found.expires == NOW + timedelta(seconds=300)


def test_a_lost_lease_is_replaced_while_there_is_room() -> None:
    """The new one names the run as its holder."""
    kernel = FakeKernel()
    made = start(deployment({}), "gone", kernel)
    assert slots(made) == [("take", [LIMIT], 1, 1)]
    commit(made)
    assert made.validated is not None
    id = made.validated.details[LEASE]
    assert id != "gone"
    holder = {"type": "flow_run", "id": RUN}
    assert lease(kernel, id) == Lease(id, (LIMIT,), 1, NOW, NOW + timedelta(seconds=300), holder)


def test_without_room_a_lost_lease_cancels_the_run() -> None:
    """Its infrastructure is there already, so it cannot wait."""
    made = start(deployment({"active_slots": 1}), "gone", FakeKernel())
    reason = "Deployment concurrency limit reached after lease expiry."
    assert verdict(made) == ("REJECT", reason, "CANCELLED", "Cancelled")
    assert made.validated is not None
    assert made.validated.message == (
        "Deployment concurrency slot lost during provisioning - no slots available to continue execution"
    )


@pytest.mark.parametrize("version", [None, "3.4.10", "3.4.11rc1", "3.4.11.dev2", "2.20.0", "what"])
def test_clients_that_know_no_leases_are_not_asked_for_one(version: str | None) -> None:
    """They could not have kept it up."""
    made = start(deployment({"active_slots": 1}), "gone", FakeKernel(), version)
    assert (made.status, made.writes, made.on_commit) == ("ACCEPT", [], [])
    assert made.validated is not None
    assert made.validated.details[LEASE] == "gone"


@pytest.mark.parametrize("version", ["3.4.11", "3.4.11.post1", "3.4.11+8.gabc", "3.8.8", "4.0.0"])
def test_clients_that_know_leases_are(version: str) -> None:
    """From 3.4.11 on, its own development builds included."""
    assert start(deployment({"active_slots": 1}), "gone", FakeKernel(), version).status == "REJECT"


@pytest.mark.parametrize(
    ("context", "id"), [(deployment(None), "x"), ({"deployment": None}, "x"), (deployment({}), None)]
)
def test_nothing_to_validate(context: dict[str, Any], id: str | None) -> None:
    """Without a limit, a deployment or a lease, the run just starts."""
    made = start(context, id, FakeKernel())
    assert (made.status, made.writes, made.on_commit) == ("ACCEPT", [], [])


def test_a_run_that_must_wait_keeps_its_lease_up() -> None:
    """The renewal holds also when a later rule makes the client wait; a new slot would not be taken then."""
    kernel = FakeKernel()
    held = hold(kernel)
    for id, followed in ((held.id, 1), ("gone", 0)):
        made = move(
            state("PENDING", scheduled_time=NOW + timedelta(hours=1), **{LEASE: id}),
            state("RUNNING"),
            run=deployed(),
            context=deployment({}),
            kernel=kernel,
            client_version=CLIENT,
        )
        judged(made, "core-flow")
        assert made.status == "WAIT"
        assert (len(made.writes), len(made.on_commit)) == (0, followed)


# ---------------------------------------------------------------- RemoveDeploymentConcurrencyLeaseForOldClientVersions
@pytest.mark.parametrize("proposed", ["RUNNING", "CANCELLING"])
@pytest.mark.parametrize(("version", "gone"), [("3.4.10", True), (None, True), ("3.4.11", False)])
def test_old_clients_go_on_without_a_lease(proposed: str, version: str | None, gone: bool) -> None:
    """The lease is dropped; the slot stays taken, by a lease of the run that does not run out."""
    kernel = FakeKernel()
    held = hold(kernel)
    made = move(state("PENDING", **{LEASE: held.id}), state(proposed), kernel=kernel, client_version=version)
    judged(made, [RemoveDeploymentConcurrencyLeaseForOldClientVersions])
    commit(made)
    assert (lease(kernel, held.id) is None) is gone
    assert made.writes == []
    kept = run_reads(kernel.leases.of_holder(RUN, [LIMIT], NOW + timedelta(days=365)), no_reads)
    assert [found.slots for found in kept] == [1] * gone


# ---------------------------------------------------------------- EnforceDeploymentConcurrencyOnLate
@pytest.mark.parametrize(
    ("name", "context", "cancelled"),
    [
        ("Late", deployment({"active_slots": 1}, collision_strategy="CANCEL_NEW"), True),
        ("Scheduled", deployment({"active_slots": 1}, collision_strategy="CANCEL_NEW"), False),
        ("Late", deployment({"active_slots": 1}, collision_strategy="ENQUEUE"), False),
        ("Late", deployment({"active_slots": 1}), False),
        ("Late", deployment({"active_slots": 0}, collision_strategy="CANCEL_NEW"), False),
        ("Late", deployment(None, collision_strategy="CANCEL_NEW"), False),
        ("Late", {"deployment": None}, False),
    ],
)
def test_late_runs_of_a_full_deployment(name: str, context: dict[str, Any], cancelled: bool) -> None:
    """Where new runs are cancelled, a late one is cancelled too instead of piling up."""
    made = move(state("SCHEDULED"), state("SCHEDULED", name), run=deployed(), context=context)
    judged(made, [EnforceDeploymentConcurrencyOnLate])
    if cancelled:
        reason = "Deployment concurrency limit is full and uses the CANCEL_NEW strategy."
        assert verdict(made) == ("REJECT", reason, "CANCELLED", "Cancelled")
    else:
        assert verdict(made) == ("ACCEPT", None, "SCHEDULED", name)
