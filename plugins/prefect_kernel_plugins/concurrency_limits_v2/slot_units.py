"""Units that take slots of limits and give them back, one request each; `together` has those for many."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.declare import Declared, carry_out
from prefect_kernel.ports.leases import Lease, RenewsAtOnce
from prefect_kernel.sql import Statement, Unit, in_list

from . import slots
from .schemas import Decrement, Increment, IncrementWithLease
from .tables import concurrency_limit_v2 as t

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_KEYS = (
    "id name limit active active_slots denied_slots slot_decay_per_second avg_slot_occupancy_seconds updated"
).split()
_BY_NAMES = Statement(sa.select(*(t.c[name] for name in _KEYS)).where(in_list(t.c.name, "names")).order_by(t.c.name))


def named(names: list[str]) -> Unit[list[dict[str, Any]]]:
    """The limits of these names that there are."""
    rows = yield _BY_NAMES(names=names)
    return [dict(zip(_KEYS, row, strict=True)) for row in rows]


def check(limits: list[dict[str, Any]], wanted: int, mode: str) -> None:
    """Raises Unprocessable for what could never be taken."""
    if any(limit["limit"] < wanted for limit in limits):
        raise errors.Unprocessable("Slots requested is greater than the limit")
    lasting = [limit["name"] for limit in limits if not limit["slot_decay_per_second"]]
    if mode == "rate_limit" and lasting:
        raise errors.Unprocessable(
            "Only concurrency limits with slot decay can be used for rate limiting. The following limits do not have a"
            f" decay configured: {','.join(lasting)!r}"
        )


def new_lease(body: IncrementWithLease, limits: list[dict[str, Any]], now: datetime) -> Lease:
    """The lease of slots that are taken on these limits."""
    holder = None if body.holder is None else {"type": body.holder.type, "id": str(body.holder.id)}
    return Lease.new([limit["id"] for limit in limits], body.slots, now, body.lease_duration, holder)


def take(
    kernel: Kernel, body: Increment | IncrementWithLease, now: datetime
) -> Unit[tuple[list[dict[str, Any]], Declared | None, Lease | None]]:
    """Take slots on all limits of these names, or on none (no Declared then).

    As in the reference, whose transaction ends with the refusal, nobody counts what was asked for in vain.
    """
    limits = yield from named(body.names)
    active = [limit for limit in limits if limit["active"]]
    check(active, body.slots, body.mode)
    ids = [limit["id"] for limit in active]
    if not (yield from slots.have_room(active, body.slots, now)):
        return limits, None, None
    declared = Declared()
    if ids:
        declared.write(slots.acquire(kernel.settings, ids, body.slots, now), expect=len(ids))
    lease = None
    if isinstance(body, IncrementWithLease):
        lease = new_lease(body, limits, now)
        kernel.leases.create(declared, lease)
    yield from carry_out(declared.writes, last=True)
    return limits, declared, lease


def give_back(kernel: Kernel, body: Decrement, now: datetime) -> Unit[list[dict[str, Any]]]:
    """Give slots back on the limits of these names."""
    limits = yield from named(body.names)
    ids = [limit["id"] for limit in limits if limit["active"]]
    if ids:
        given = slots.release(kernel.settings, ids, body.slots, now, body.occupancy_seconds)
        yield from carry_out([(given, None)], last=True)
    return limits


def end_lease(
    kernel: Kernel, lease_id: str, now: datetime, *, only_expired: bool = False, last: bool = False
) -> Unit[Declared]:
    """Give back what a lease holds, and forget it; nothing when there is none (or it has not expired).

    With `last` that is all that happens in the transaction.
    """
    declared = Declared()
    lease = yield from kernel.leases.get(lease_id)
    if lease is None and only_expired:
        # Redis may have lost the lease and kept its end, by which it would be found again and again.
        kernel.leases.revoke(declared, lease_id)
        yield from carry_out(declared.writes, last=last)
        return declared
    if lease is None or (only_expired and lease.expires > now):
        return declared
    held = (now - lease.created).total_seconds()
    declared.write(slots.release(kernel.settings, list(lease.limit_ids), lease.slots, now, held))
    kernel.leases.revoke(declared, lease_id, lease)
    yield from carry_out(declared.writes, last=last)
    return declared


def renew(kernel: Kernel, lease_id: str, seconds: float, now: datetime) -> Unit[Declared | None]:
    """Move a lease's end to `seconds` from now; None when there is no such lease."""
    leases: Any = kernel.leases
    if isinstance(leases, RenewsAtOnce):
        there = yield from leases.renew_if_there(lease_id, now + timedelta(seconds=seconds))
        return Declared() if there else None
    lease = yield from kernel.leases.get(lease_id)
    if lease is None:
        return None
    declared = Declared()
    kernel.leases.renew(declared, lease_id, lease.new([], 0, now, seconds).expires, lease)
    yield from carry_out(declared.writes, last=True)
    return declared
