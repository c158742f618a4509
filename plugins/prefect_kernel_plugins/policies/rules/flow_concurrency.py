"""Concurrency limits of deployments: a run takes a slot when it becomes pending, and gives it back when it stops.

The slot is taken in the transaction of the transition, and so is the lease made that says who holds it until when. The
client keeps the lease up; a lease that runs out loses the slot to whoever comes next.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

from prefect_kernel.ports.leases import Lease
from prefect_kernel.transition import ALL_STATES, REJECT, FlowRule, FlowTransform, Move, State

from ...concurrency_limits_v2 import held, slots
from .task_concurrency import LEASE_SECONDS
from .versions import LEASES_SINCE, OWN_DEPLOYMENT_SLOTS, is_at_least

LEASE = "deployment_concurrency_lease_id"
HOLDING = frozenset({"PENDING", "RUNNING", "CANCELLING"})
"""Types of states in which a run holds its deployment's slot."""

_REACHED = "Deployment concurrency limit reached."


def _lease_seconds(move: Move, deployment: dict[str, Any]) -> float:
    """How long a new lease lasts without being renewed."""
    grace = (deployment["concurrency_options"] or {}).get("grace_period_seconds")
    own: float = move.kernel.settings.server.concurrency.initial_deployment_lease_duration
    return own if grace is None else grace


def _holder(move: Move) -> dict[str, str]:
    return {"type": "flow_run", "id": move.run["id"]}


def _take(move: Move, lease: Lease) -> None:
    ids = list(lease.limit_ids)
    move.write(slots.acquire(move.kernel.settings, ids, lease.slots, move.now), expect=len(ids))
    move.kernel.leases.create(move, lease)


class PreserveDeploymentConcurrencyLeaseId(FlowTransform):
    """The lease goes along from state to state, also when the client leaves it out."""

    def before(self, move: Move) -> None:
        if move.initial is None or move.proposed is None:
            return
        lease_id = move.initial.details[LEASE]
        if lease_id is not None and move.proposed.details[LEASE] is None:
            move.proposed.details[LEASE] = lease_id


class SecureFlowConcurrencySlots(FlowRule):
    """A run becomes pending only with a slot of its deployment's limit; otherwise it waits or is cancelled."""

    from_states = ALL_STATES - HOLDING
    to_states = frozenset({"PENDING"})
    __slots__ = ("_lease",)

    def before(self, move: Move) -> Any:
        self._lease: Lease | None = None
        if not move.run["deployment_id"] or move.proposed is None or move.client_version in OWN_DEPLOYMENT_SLOTS:
            return None
        deployment = move.context["deployment"]
        if deployment is None:
            move.abort("Deployment not found.")
            return None
        limit = deployment["limit"]
        if limit is None:
            return None
        if limit["limit"] == 0:
            move.abort("The deployment concurrency limit is 0. The flow will deadlock if submitted again.")
            return None
        return self._secure(move, deployment, limit)

    def _secure(self, move: Move, deployment: dict[str, Any], limit: dict[str, Any]) -> Generator[Any, Any, None]:
        assert move.proposed is not None
        if (yield from slots.have_room([limit], 1, move.now)):
            self._lease = Lease.new([limit["id"]], 1, move.now, _lease_seconds(move, deployment), _holder(move))
            move.proposed.details[LEASE] = self._lease.id
            return
        if (deployment["concurrency_options"] or {}).get("collision_strategy", "ENQUEUE") == "CANCEL_NEW":
            move.reject(State("CANCELLED", message=_REACHED, timestamp=move.now), _REACHED)
            return
        pause = timedelta(seconds=move.kernel.settings.server.deployments.concurrency_slot_wait_seconds)
        details = {"scheduled_time": move.now + pause}
        later = State("SCHEDULED", name="AwaitingConcurrencySlot", details=details, timestamp=move.now)
        move.reject(later, _REACHED)

    def after(self, move: Move) -> None:
        if self._lease is not None:
            _take(move, self._lease)

    def cleanup(self, move: Move) -> None:
        # Nothing was declared yet; only a state that took over the details may still name the lease.
        if self._lease is not None and move.validated is not None and move.validated.details[LEASE] == self._lease.id:
            move.validated.details[LEASE] = None


class ValidateDeploymentConcurrencyAtRunning(FlowRule):
    """A run that starts renews its lease; when it has run out, it needs a free slot or is cancelled."""

    from_states = frozenset({"PENDING"})
    to_states = frozenset({"RUNNING"})
    __slots__ = ("_new", "_renewed")

    def before(self, move: Move) -> Any:
        self._renewed: tuple[Lease, float] | None = None
        self._new: Lease | None = None
        if move.initial is None or move.proposed is None:
            return None
        lease_id = move.initial.details[LEASE]
        move.proposed.details[LEASE] = lease_id
        if not lease_id or not is_at_least(move.client_version, LEASES_SINCE) or not move.run["deployment_id"]:
            return None
        deployment = move.context["deployment"]
        if deployment is None or deployment["limit"] is None:
            return None
        return self._validate(move, lease_id, deployment)

    def _validate(self, move: Move, lease_id: str, deployment: dict[str, Any]) -> Generator[Any, Any, None]:
        assert move.proposed is not None
        seconds = _lease_seconds(move, deployment)
        lease = yield from move.kernel.leases.get(lease_id)
        if lease is not None:
            self._renewed = lease, seconds
            return
        limit = deployment["limit"]
        if (yield from slots.have_room([limit], 1, move.now)):
            self._new = Lease.new([limit["id"]], 1, move.now, seconds, _holder(move))
            move.proposed.details[LEASE] = self._new.id
            return
        message = "Deployment concurrency slot lost during provisioning - no slots available to continue execution"
        lost = State("CANCELLED", message=message, timestamp=move.now)
        move.reject(lost, "Deployment concurrency limit reached after lease expiry.")

    def after(self, move: Move) -> None:
        self.cleanup(move)
        if self._new is not None:
            _take(move, self._new)

    def cleanup(self, move: Move) -> None:
        # A run that was told to wait keeps its slot, so its lease is renewed too.
        if self._renewed is not None:
            lease, seconds = self._renewed
            move.kernel.leases.renew(move, lease.id, move.now + timedelta(seconds=seconds), lease)


class RemoveDeploymentConcurrencyLeaseForOldClientVersions(FlowRule):
    """A client that does not know of leases cannot keep one up: the slot is the run's until that stops.

    So that it can be told whose the slot is, the lease is replaced by one that nobody knows of and that has no end.
    """

    from_states = frozenset({"PENDING"})
    to_states = frozenset({"RUNNING", "CANCELLING"})

    def after(self, move: Move) -> Any:
        if move.initial is None or is_at_least(move.client_version, LEASES_SINCE):
            return None
        lease_id = move.initial.details[LEASE]
        return self._hold(move, lease_id) if lease_id else None

    @staticmethod
    def _hold(move: Move, lease_id: str) -> Generator[Any, Any, None]:
        lease = yield from move.kernel.leases.get(lease_id)
        if lease is not None:
            move.kernel.leases.revoke(move, lease_id, lease)
            endless = Lease.new(list(lease.limit_ids), lease.slots, move.now, LEASE_SECONDS, _holder(move))
            move.kernel.leases.create(move, endless)


class EnforceDeploymentConcurrencyOnLate(FlowRule):
    """Where new runs are cancelled when the limit is full, a late one is too instead of being marked late."""

    from_states = frozenset({"SCHEDULED"})
    to_states = frozenset({"SCHEDULED"})

    def before(self, move: Move) -> None:
        if move.initial is None or move.proposed is None or move.proposed.name != "Late":
            return
        deployment = move.context["deployment"] if move.run["deployment_id"] else None
        if deployment is None or deployment["limit"] is None:
            return
        if (deployment["concurrency_options"] or {}).get("collision_strategy") != "CANCEL_NEW":
            return
        if deployment["limit"]["active_slots"] >= deployment["limit"]["limit"]:
            move.reject(
                State("CANCELLED", message=_REACHED, timestamp=move.now),
                "Deployment concurrency limit is full and uses the CANCEL_NEW strategy.",
            )


class ReleaseFlowConcurrencySlots(FlowTransform):
    """A run that stops gives its slot back.

    A retry in the same process keeps it: its client keeps up the lease all the time. That retry is the server's answer
    to a failure; an "AwaitingRetry" that the client itself proposes leaves the process, and the slot.
    """

    def after(self, move: Move) -> Any:
        initial, proposed = move.initial, move.proposed
        if initial is None or proposed is None or not move.run["deployment_id"]:
            return None
        if initial.type not in HOLDING or proposed.type in HOLDING:
            return None
        if proposed.type == "SCHEDULED" and proposed.name == "AwaitingRetry" and move.status == REJECT:
            return None
        deployment = move.context["deployment"]
        limit = None if deployment is None else deployment["limit"]
        return held.give_back(move.kernel, move, move.run["id"], initial.details[LEASE] or None, limit, move.now)
