"""What a deployment's run holds of its limit, and giving that back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.declare import Declares
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID, Timestamp

from . import slots
from .tables import concurrency_limit_v2 as t

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_ONE_LESS = Statement(
    sa.update(t)
    .values({"active_slots": t.c.active_slots - 1, "updated": sa.bindparam("now", type_=Timestamp())})
    .where(
        t.c.id == sa.bindparam("limit_id", type_=UUID()),
        t.c.active_slots == sa.bindparam("seen", type_=sa.Integer()),
    )
)


def give_back(
    kernel: Kernel, unit: Declares, run_id: str, lease_id: str | None, limit: dict[str, Any] | None, now: datetime
) -> Unit[None]:
    """Declare that a run gives back what it holds: its leases' slots, or one slot of its deployment's `limit`.

    A run without a lease may hold a slot that nobody has leased: its lease was lost, or it began under a server that
    knew no leases. Or it holds none: its lease ran out, and the slot was given back then. Where leases and slots come
    and go together, the numbers tell: there is a slot to be given back only where more are taken than leased.
    """
    lease = (yield from kernel.leases.get(lease_id)) if lease_id is not None else None
    leases = [] if lease is None else [lease]
    if lease is None and limit is not None:
        leases = yield from kernel.leases.of_holder(run_id, [limit["id"]], now)
    for each in leases:
        unit.write(slots.release(kernel.settings, list(each.limit_ids), each.slots, now))
        kernel.leases.revoke(unit, each.id, each)
    if leases or limit is None:
        return
    leased = yield from kernel.leases.leased(limit["id"])
    if leased is None or limit["slot_decay_per_second"]:
        unit.write(slots.release(kernel.settings, [limit["id"]], 1, now))
    elif limit["active"] and limit["active_slots"] > leased:
        unit.write(_ONE_LESS(limit_id=limit["id"], seen=limit["active_slots"], now=now), expect=1)
