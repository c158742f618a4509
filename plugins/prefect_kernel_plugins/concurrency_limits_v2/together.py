"""Many requests for slots in one transaction, for those that wait at the same time.

Only on PostgreSQL: SQLite's writer commits together whatever waits. And only where leases are in the database, since
each other storage wants to be told of each lease.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.declare import follow_up
from prefect_kernel.ports.leases import InBulk, Lease
from prefect_kernel.sql import Batch, Call, Statement, Unit, in_list
from prefect_kernel.sql.types import POSTGRESQL
from prefect_kernel.stash import StashKey

from ..common.gathering import Gathering
from . import slots
from .schemas import Decrement, DecrementWithLease, Increment, IncrementWithLease
from .slot_units import check, end_lease, give_back, new_lease, renew, take
from .tables import concurrency_limit_v2 as t

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

Request = Increment | IncrementWithLease | Decrement | DecrementWithLease
Outcome = tuple[list[dict[str, Any]], bool, Lease | None]
"""The limits that were named, whether what was asked for has happened, and the new lease."""

_MOST_SLOTS = 2**31 - 1
_KEYS = "id name limit active active_slots denied_slots slot_decay_per_second avg_slot_occupancy_seconds".split()
_LIMITS = Statement(
    sa.select(*(slots.active_slots_now(POSTGRESQL) if name == "active_slots" else t.c[name] for name in _KEYS))
    .where(sa.or_(in_list(t.c.name, "names"), in_list(t.c.id, "ids")))
    .order_by(t.c.name)
)


def settle(kernel: Kernel, requests: list[Request], now: datetime) -> Unit[list[Outcome | Exception]]:
    """Carry out many requests: what is given back first, then what is taken, in the order of the requests.

    Each of them is as it would be alone, were they made one after the other in this order.
    """
    leases: Any = kernel.leases
    ending = [str(body.lease_id) for body in requests if isinstance(body, DecrementWithLease)]
    held: dict[str, Lease] = (yield from leases.get_all(ending)) if ending else {}
    names = {name for body in requests if not isinstance(body, DecrementWithLease) for name in body.names}
    ids = {id for lease in held.values() for id in lease.limit_ids}
    rows = yield _LIMITS(names=list(names), ids=list(ids), now=now)
    limits = [dict(zip(_KEYS, row, strict=True)) for row in rows]
    changes = slots.Changes(limits, now)
    begun: list[Lease] = []
    ended: list[Lease] = []
    outcomes: dict[int, Outcome | Exception] = {}
    for number, body in enumerate(requests):
        if isinstance(body, DecrementWithLease):
            if (lease := held.pop(str(body.lease_id), None)) is not None:
                changes.give(lease.limit_ids, lease.slots, (now - lease.created).total_seconds())
                ended.append(lease)
            outcomes[number] = [], True, None
        elif body.slots > _MOST_SLOTS:
            raise errors.InvalidValue("More slots than an integer of the database holds")
        elif isinstance(body, Decrement):
            named = [limit for limit in limits if limit["name"] in body.names]
            changes.give([limit["id"] for limit in named], body.slots, body.occupancy_seconds)
            outcomes[number] = named, True, None
    for number, body in enumerate(requests):
        if isinstance(body, Increment | IncrementWithLease):
            named = [limit for limit in limits if limit["name"] in body.names]
            try:
                check([limit for limit in named if limit["active"]], body.slots, body.mode)
            except errors.HttpError as error:
                outcomes[number] = error
                continue
            taken = changes.take([limit["id"] for limit in named], body.slots)
            lease = new_lease(body, named, now) if taken and isinstance(body, IncrementWithLease) else None
            if lease is not None:
                begun.append(lease)
            outcomes[number] = named, taken, lease
    writes: list[tuple[Call, int | None]] = []
    if (changed := changes.call(kernel.settings)) is not None:
        writes.append(changed)
    if ended:
        writes.append(leases.revoke_all(ended))
    if begun:
        writes.append((leases.create_all(begun), None))
    if writes:
        yield Batch(writes, last=True, disjoint=True)
    return [outcomes[number] for number in range(len(requests))]


class Desk:
    """Where the requests for slots of a server process are carried out, and the renewals of leases."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._gathers = kernel.storage.dialect == POSTGRESQL and isinstance(kernel.leases, InBulk)
        self._slots: Gathering[Request, Outcome] = Gathering(self._one, self._many)
        self._renewals: Gathering[tuple[str, float], bool] = Gathering(self._renew_one, self._renew_many)

    async def settle(self, body: Request) -> Outcome:
        """Take slots or give them back."""
        return await (self._slots(body) if self._gathers else self._one(body))

    async def renew(self, lease_id: str, seconds: float) -> bool:
        """Move the end of a lease; False when there is none."""
        return await (self._renewals((lease_id, seconds)) if self._gathers else self._renew_one((lease_id, seconds)))

    async def _one(self, body: Request) -> Outcome:
        kernel = self._kernel
        write, now = kernel.storage.write, kernel.clock.now()
        if isinstance(body, Decrement):
            return await write(give_back, kernel, body, now), True, None
        if isinstance(body, DecrementWithLease):
            await follow_up((await write(end_lease, kernel, str(body.lease_id), now, last=True)).on_commit)
            return [], True, None
        limits, declared, lease = await write(take, kernel, body, now)
        if declared is not None:
            await follow_up(declared.on_commit)
        return limits, declared is not None, lease

    async def _many(self, bodies: list[Request]) -> list[Outcome | Exception]:
        return await self._kernel.storage.write(settle, self._kernel, bodies, self._kernel.clock.now())

    async def _renew_one(self, renewal: tuple[str, float]) -> bool:
        kernel = self._kernel
        declared = await kernel.storage.write(renew, kernel, *renewal, kernel.clock.now())
        if declared is not None:
            await follow_up(declared.on_commit)
        return declared is not None

    async def _renew_many(self, renewals: list[tuple[str, float]]) -> list[bool]:
        leases: Any = self._kernel.leases
        now = self._kernel.clock.now()
        ends = {id: now + timedelta(seconds=seconds) for id, seconds in renewals}
        there = await self._kernel.storage.write(leases.renew_all, ends)
        return [id in there for id, _ in renewals]


_DESK = StashKey[Desk]("where slots are taken")


def desk_of(kernel: Kernel) -> Desk:
    """The desk of a kernel's process."""
    if _DESK not in kernel.stash:
        kernel.stash[_DESK] = Desk(kernel)
    return kernel.stash[_DESK]
