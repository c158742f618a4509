"""Routes by which clients take slots of limits and give them back, with or without a lease."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from prefect_kernel import errors, web
from prefect_kernel.declare import Declared, carry_out, follow_up
from prefect_kernel.ports.leases import Lease, RenewsAtOnce
from prefect_kernel.sql import Statement, Unit, in_list

from . import routes, slots  # noqa: F401 - routes of single limits come first: a wrong method is answered as theirs
from .group import group
from .schemas import Decrement, DecrementWithLease, Increment, IncrementWithLease, Renew
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


def _check(limits: list[dict[str, Any]], wanted: int, mode: str) -> None:
    """Raises Unprocessable for what could never be taken."""
    if any(limit["limit"] < wanted for limit in limits):
        raise errors.Unprocessable("Slots requested is greater than the limit")
    lasting = [limit["name"] for limit in limits if not limit["slot_decay_per_second"]]
    if mode == "rate_limit" and lasting:
        raise errors.Unprocessable(
            "Only concurrency limits with slot decay can be used for rate limiting. The following limits do not have a"
            f" decay configured: {','.join(lasting)!r}"
        )


def take(
    kernel: Kernel, body: Increment | IncrementWithLease, now: datetime
) -> Unit[tuple[list[dict[str, Any]], Declared | None, Lease | None]]:
    """Take slots on all limits of these names, or on none (no Declared then).

    As in the reference, whose transaction ends with the refusal, nobody counts what was asked for in vain.
    """
    limits = yield from named(body.names)
    active = [limit for limit in limits if limit["active"]]
    _check(active, body.slots, body.mode)
    ids = [limit["id"] for limit in active]
    if not (yield from slots.have_room(active, body.slots, now)):
        return limits, None, None
    declared = Declared()
    if ids:
        declared.write(slots.acquire(kernel.settings, ids, body.slots, now), expect=len(ids))
    lease = None
    if isinstance(body, IncrementWithLease):
        holder = None if body.holder is None else {"type": body.holder.type, "id": str(body.holder.id)}
        lease = Lease.new([limit["id"] for limit in limits], body.slots, now, body.lease_duration, holder)
        kernel.leases.create(declared, lease)
    yield from carry_out(declared.writes)
    return limits, declared, lease


def _locked(kernel: Kernel, limits: list[dict[str, Any]], wanted: int) -> errors.Locked:
    """The answer for slots that were not to be had: how long to wait, by the limit that is in the way most."""

    def blocking(limit: dict[str, Any]) -> float:
        count = wanted + limit["denied_slots"]
        return float(count if limit["slot_decay_per_second"] > 0 else count / limit["limit"])

    limit = max((limit for limit in limits if limit["active"]), key=blocking)
    if limit["slot_decay_per_second"] > 0:
        average = blocking(limit) / limit["slot_decay_per_second"]
    else:
        settings = kernel.settings.server
        longest = (
            settings.tasks.tag_concurrency_slot_wait_seconds
            if limit["name"].startswith("tag:")
            else settings.concurrency.maximum_concurrency_slot_wait_seconds
        )
        average = min(min(limit["avg_slot_occupancy_seconds"], longest) * blocking(limit), longest)
    return errors.Locked(slots.clamped_poisson(average))


def _shown(limits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: limit[key] for key in ("id", "name", "limit")} for limit in limits]


async def _taken(request: web.Request, body: Increment | IncrementWithLease) -> tuple[list[Any], Lease | None]:
    kernel = request.kernel
    limits, declared, lease = await kernel.storage.write(take, kernel, body, kernel.clock.now())
    if declared is None:
        raise _locked(kernel, limits, body.slots)
    await follow_up(declared.on_commit)
    return _shown(limits), lease


@group.post("/increment", permission="run", body=Increment, embed=True, response="MinimalConcurrencyLimitResponse[]")
async def bulk_increment_active_slots(request: web.Request, body: Increment) -> web.Reply:
    """Take slots on limits; 423 when they are not to be had now. Names without a limit do not count."""
    return web.json((await _taken(request, body))[0])


@group.post(
    "/increment-with-lease",
    permission="run",
    body=IncrementWithLease,
    embed=True,
    response="ConcurrencyLimitWithLeaseResponse",
)
async def bulk_increment_active_slots_with_lease(request: web.Request, body: IncrementWithLease) -> web.Reply:
    """Take slots for a time, after which they are free again unless the lease is renewed."""
    limits, lease = await _taken(request, body)
    assert lease is not None
    return web.json({"lease_id": lease.id, "limits": limits})


def give_back(kernel: Kernel, body: Decrement, now: datetime) -> Unit[list[dict[str, Any]]]:
    """Give slots back on the limits of these names."""
    limits = yield from named(body.names)
    ids = [limit["id"] for limit in limits if limit["active"]]
    if ids:
        yield slots.release(kernel.settings, ids, body.slots, now, body.occupancy_seconds)
    return limits


@group.post("/decrement", permission="run", body=Decrement, embed=True, response="MinimalConcurrencyLimitResponse[]")
async def bulk_decrement_active_slots(request: web.Request, body: Decrement) -> web.Reply:
    """Give slots back."""
    kernel = request.kernel
    return web.json(_shown(await kernel.storage.write(give_back, kernel, body, kernel.clock.now())))


def end_lease(kernel: Kernel, lease_id: str, now: datetime, *, only_expired: bool = False) -> Unit[Declared]:
    """Give back what a lease holds, and forget it; nothing when there is none (or it has not expired)."""
    declared = Declared()
    lease = yield from kernel.leases.get(lease_id)
    if lease is None and only_expired:
        # Redis may have lost the lease and kept its end, by which it would be found again and again.
        kernel.leases.revoke(declared, lease_id)
        yield from carry_out(declared.writes)
        return declared
    if lease is None or (only_expired and lease.expires > now):
        return declared
    held = (now - lease.created).total_seconds()
    declared.write(slots.release(kernel.settings, list(lease.limit_ids), lease.slots, now, held))
    kernel.leases.revoke(declared, lease_id, lease)
    yield from carry_out(declared.writes)
    return declared


@group.post("/decrement-with-lease", permission="run", body=DecrementWithLease, embed=True, status=204)
async def bulk_decrement_active_slots_with_lease(request: web.Request, body: DecrementWithLease) -> web.Reply:
    """Give back what a lease holds."""
    kernel = request.kernel
    declared = await kernel.storage.write(end_lease, kernel, str(body.lease_id), kernel.clock.now())
    await follow_up(declared.on_commit)
    return web.no_content()


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
    yield from carry_out(declared.writes)
    return declared


_LEASE_ID = web.PathReader("lease_id", UUID)


@group.post("/leases/{lease_id}/renew", permission="run", body=Renew, embed=True, status=204, path_parameter=_LEASE_ID)
async def renew_concurrency_lease(request: web.Request, body: Renew) -> web.Reply:
    """Keep what a lease holds for some more time; 410 when it has expired and its slots were given back."""
    kernel = request.kernel
    lease_id = str(_LEASE_ID(request.path, request.content))
    declared = await kernel.storage.write(renew, kernel, lease_id, body.lease_duration, kernel.clock.now())
    if declared is None:
        raise errors.Gone("Lease not found - it may have expired or been revoked")
    await follow_up(declared.on_commit)
    return web.no_content()
