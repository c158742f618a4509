"""Routes by which clients take slots of limits and give them back, with or without a lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect_kernel import errors, web
from prefect_kernel.ports.leases import Lease

from . import routes, slots  # noqa: F401 - routes of single limits come first: a wrong method is answered as theirs
from .group import group
from .schemas import Decrement, DecrementWithLease, Increment, IncrementWithLease, Renew
from .together import desk_of

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


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
    limits, taken, lease = await desk_of(request.kernel).settle(body)
    if not taken:
        raise _locked(request.kernel, limits, body.slots)
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


@group.post("/decrement", permission="run", body=Decrement, embed=True, response="MinimalConcurrencyLimitResponse[]")
async def bulk_decrement_active_slots(request: web.Request, body: Decrement) -> web.Reply:
    """Give slots back."""
    return web.json(_shown((await desk_of(request.kernel).settle(body))[0]))


@group.post("/decrement-with-lease", permission="run", body=DecrementWithLease, embed=True, status=204)
async def bulk_decrement_active_slots_with_lease(request: web.Request, body: DecrementWithLease) -> web.Reply:
    """Give back what a lease holds."""
    await desk_of(request.kernel).settle(body)
    return web.no_content()


_LEASE_ID = web.PathReader("lease_id", UUID)


@group.post("/leases/{lease_id}/renew", permission="run", body=Renew, embed=True, status=204, path_parameter=_LEASE_ID)
async def renew_concurrency_lease(request: web.Request, body: Renew) -> web.Reply:
    """Keep what a lease holds for some more time; 410 when it has expired and its slots were given back."""
    lease_id = str(_LEASE_ID(request.path, request.content))
    if not await desk_of(request.kernel).renew(lease_id, body.lease_duration):
        raise errors.Gone("Lease not found - it may have expired or been revoked")
    return web.no_content()
