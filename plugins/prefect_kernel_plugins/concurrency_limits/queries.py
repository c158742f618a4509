"""Units of concurrency limits by tag: what clients of the first version see of the global limits named `tag:…`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.declare import Declared, carry_out
from prefect_kernel.ports.leases import Lease
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID

from ..common.fields import BANNED
from ..concurrency_limits_v2 import queries as v2
from ..concurrency_limits_v2 import slots
from ..concurrency_limits_v2.schemas import LimitCreate
from ..concurrency_limits_v2.tables import concurrency_limit_v2 as t
from . import old

if TYPE_CHECKING:
    import uuid

    from prefect_kernel.app import Kernel

    from .schemas import TagLimitCreate

PREFIX = "tag:"
LEASE_SECONDS = 100 * 365 * 86400
"""Clients of the first version do not renew leases."""

_KEYS = ("id", "created", "updated", "name", "limit")
_ALL = sa.select(*(t.c[name] for name in _KEYS))
_BY_ID = Statement(_ALL.where(t.c.id == sa.bindparam("id", type_=UUID())))
_BY_NAME = Statement(_ALL.where(t.c.name == sa.bindparam("name", type_=sa.String())))
_PAGE = Statement(_ALL.order_by(t.c.name).limit(sa.bindparam("number", type_=sa.Integer())))


def limit_of(*, id: str | None = None, tag: str | None = None) -> Unit[dict[str, Any] | None]:
    """The global limit with that id, or for that tag; None when there is none."""
    rows = yield _BY_ID(id=id) if id is not None else _BY_NAME(name=f"{PREFIX}{tag}")
    return dict(zip(_KEYS, rows[0], strict=True)) if rows else None


def _shown(kernel: Kernel, limit: dict[str, Any], now: datetime) -> Unit[dict[str, Any]]:
    """A global limit as a limit by tag, with the task runs that hold its slots."""
    leases = yield from kernel.leases.of_limit(limit["id"], now)
    return {
        "id": limit["id"],
        "created": limit["created"],
        "updated": limit["updated"],
        "tag": limit["name"].removeprefix(PREFIX),
        "concurrency_limit": limit["limit"],
        "active_slots": [
            lease.holder["id"] for lease in leases if lease.holder is not None and lease.holder["type"] == "task_run"
        ],
    }


def create(kernel: Kernel, body: TagLimitCreate, now: datetime) -> Unit[tuple[dict[str, Any], bool]]:
    """Make a limit, or set the number of the one that is there; and whether it was made. Raises Unprocessable."""
    found = yield from limit_of(tag=body.tag)
    if found is not None:
        if body.concurrency_limit < 0:
            raise errors.Unprocessable("The concurrency limit must be greater than or equal to 0.")
        yield from v2.update(kernel, {"limit": body.concurrency_limit}, now, id=found["id"])
        found |= {"limit": body.concurrency_limit, "updated": now}
        return (yield from _shown(kernel, found, now)), False
    if any(character in BANNED for character in body.tag):
        raise errors.Unprocessable(f"Tags with limits cannot have any of the characters {BANNED}.")
    new = LimitCreate.model_construct(
        active=True,
        name=f"{PREFIX}{body.tag}",
        limit=body.concurrency_limit,
        active_slots=0,
        denied_slots=0,
        slot_decay_per_second=0.0,
    )
    made = yield from v2.create(kernel, new, now)
    return (yield from _shown(kernel, made, now)), True


def read(
    kernel: Kernel, now: datetime, *, id: str | None = None, tag: str | None = None
) -> Unit[dict[str, Any] | None]:
    """A limit by tag; None when there is none."""
    found = yield from limit_of(id=id, tag=tag)
    if found is not None and found["name"].startswith(PREFIX):
        return (yield from _shown(kernel, found, now))
    return (yield from old.one(id=id, tag=tag))


def page(kernel: Kernel, now: datetime, number: int, offset: int) -> Unit[list[dict[str, Any]]]:
    """Limits by tag, the old ones after the others.

    As in the reference, global limits that are for no tag count for the number and are not shown.
    """
    found = [dict(zip(_KEYS, row, strict=True)) for row in (yield _PAGE(number=number + offset))]
    shown: list[dict[str, Any]] = []
    for limit in found:
        if limit["name"].startswith(PREFIX):
            shown += [(yield from _shown(kernel, limit, now))]
    tags = {limit["tag"] for limit in shown}
    before = yield from old.first(number + offset)
    shown += [limit for limit in before if limit["tag"] not in tags]
    return shown[offset : offset + number]


def _revoke_all(kernel: Kernel, declared: Declared, limit_id: str, now: datetime) -> Unit[None]:
    for lease in (yield from kernel.leases.of_limit(limit_id, now)):
        kernel.leases.revoke(declared, lease.id, lease)


def reset(kernel: Kernel, tag: str, holders: list[uuid.UUID] | None, now: datetime) -> Unit[Declared | None]:
    """Forget who holds slots of a limit, and note others; None when there is none.

    As in the reference, the number of active slots of the limit is not reset.
    """
    declared = Declared()
    limit = yield from limit_of(tag=tag)
    if limit is None:
        before = yield from old.one(tag=tag)
        if before is None:
            return None
        declared.write(old.set_holders(before, [str(holder) for holder in holders or []], now))
    else:
        yield from _revoke_all(kernel, declared, limit["id"], now)
        for holder in holders or []:
            declared.write(slots.acquire(kernel.settings, [limit["id"]], 1, now))
            note_holder(kernel, declared, [limit["id"]], str(holder), now)
    yield from carry_out(declared.writes)
    return declared


def delete(kernel: Kernel, now: datetime, *, id: str | None = None, tag: str | None = None) -> Unit[Declared | None]:
    """Delete a limit and the leases on it; None when there is none."""
    declared = Declared()
    limit = yield from limit_of(id=id, tag=tag)
    if limit is not None:
        yield from _revoke_all(kernel, declared, limit["id"], now)
        yield from v2.delete(kernel, now, id=limit["id"])
        return declared
    before = yield from old.one(id=id, tag=tag)
    if before is None:
        return None
    yield from old.delete(kernel, before, now)
    return declared


def note_holder(kernel: Kernel, declared: Declared, limit_ids: list[str], task_run_id: str, now: datetime) -> None:
    """Declare the lease of a task run on slots that it takes."""
    holder = {"type": "task_run", "id": task_run_id}
    kernel.leases.create(declared, Lease.new(limit_ids, 1, now, LEASE_SECONDS, holder))
