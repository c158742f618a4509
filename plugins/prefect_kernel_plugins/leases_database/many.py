"""Leases as rows, and many of them at once: on PostgreSQL, where each statement and each commit costs something.

On SQLite nobody asks for these, since its writer commits together whatever waits.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ports.leases import Lease
from prefect_kernel.sql import Call, Statement, Unit, in_list
from prefect_kernel.sql.statement import ListType

from .tables import kernel_lease as t

COLUMNS = (t.c.lease_id, t.c.limit_id, t.c.slots, t.c.created, t.c.expires, t.c.holder_type, t.c.holder_id)
NAMES = "(lease_id, number, limit_id, slots, created, expires, holder_type, holder_id)"


def _with_lists(sql: str, *names: str) -> Statement:
    return Statement(sa.text(sql).bindparams(*(sa.bindparam(name, type_=ListType()) for name in names)))


_BY_IDS = Statement(sa.select(*COLUMNS).where(in_list(t.c.lease_id, "ids")).order_by(t.c.lease_id, t.c.number))
_COLUMN_TYPES = {
    "lease_id": "uuid",
    "number": "integer",
    "limit_id": "uuid",
    "slots": "integer",
    "created": "timestamptz",
    "expires": "timestamptz",
    "holder_type": "varchar",
    "holder_id": "uuid",
}
_CREATE = _with_lists(
    f"INSERT INTO kernel_lease {NAMES} SELECT * FROM unnest("
    + ", ".join(f"CAST(:{name} AS {type}[])" for name, type in _COLUMN_TYPES.items())
    + ")",
    *_COLUMN_TYPES,
)
_REVOKE = _with_lists(
    "DELETE FROM kernel_lease USING unnest(CAST(:ids AS uuid[]), CAST(:seen AS timestamptz[])) AS old (id, seen)"
    " WHERE lease_id = old.id AND expires = old.seen",
    "ids",
    "seen",
)
_RENEW = _with_lists(
    "UPDATE kernel_lease SET expires = renewed.later FROM (SELECT given.* FROM unnest(CAST(:ids AS uuid[]),"
    " CAST(:later AS timestamptz[])) AS given (id, later) JOIN kernel_lease AS held ON held.lease_id = given.id"
    " ORDER BY held.lease_id, held.number FOR NO KEY UPDATE OF held) AS renewed"
    " WHERE kernel_lease.lease_id = renewed.id RETURNING kernel_lease.lease_id",
    "ids",
    "later",
)


def leases_of(rows: list[Any]) -> list[Lease]:
    """The leases that these rows make up; those of a lease follow one another."""
    found: list[Lease] = []
    limits: list[str] = []
    for id, limit_id, slots, created, expires, holder_type, holder_id in rows:
        if found and found[-1].id == id:
            limits.append(limit_id)
            continue
        if len(limits) > 1:
            found[-1] = _on_limits(found[-1], limits)
        limits = [] if limit_id is None else [limit_id]
        holder = None if holder_id is None else {"type": holder_type, "id": holder_id}
        found.append(Lease(id, tuple(limits), slots, created, expires, holder))
    if len(limits) > 1:
        found[-1] = _on_limits(found[-1], limits)
    return found


def _on_limits(lease: Lease, limits: list[str]) -> Lease:
    return Lease(lease.id, tuple(limits), lease.slots, lease.created, lease.expires, lease.holder)


class ManyLeases:
    """See `InBulk`."""

    def get_all(self, ids: list[str]) -> Unit[dict[str, Lease]]:
        return {lease.id: lease for lease in leases_of((yield _BY_IDS(ids=ids)))}

    def create_all(self, leases: list[Lease]) -> Call:
        rows = [
            (
                lease.id,
                number,
                limit,
                lease.slots,
                lease.created,
                lease.expires,
                holder.get("type"),
                holder.get("id"),
            )
            for lease in leases
            for holder in [lease.holder or {}]
            for number, limit in enumerate(lease.limit_ids or [None])
        ]
        return _CREATE.bind(dict(zip(_COLUMN_TYPES, zip(*rows, strict=True), strict=True)))

    def revoke_all(self, leases: list[Lease]) -> tuple[Call, int]:
        ids, seen = zip(*((lease.id, lease.expires) for lease in leases), strict=True)
        return _REVOKE(ids=ids, seen=seen), sum(map(rows_of, leases))

    def renew_all(self, ends: dict[str, datetime]) -> Unit[set[str]]:
        rows = yield _RENEW.alone({"ids": list(ends), "later": list(ends.values())})
        return {id for (id,) in rows}


def rows_of(lease: Lease) -> int:
    """The number of rows of a lease."""
    return max(1, len(lease.limit_ids))
