"""The lease storage: every change is one statement, declared on the unit of work that takes or gives back the slots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel.declare import Declares
from prefect_kernel.ports.leases import Lease
from prefect_kernel.sql import Statement, Unit, by_dialect, in_list
from prefect_kernel.sql.statement import ListType
from prefect_kernel.sql.types import UUID, Timestamp

from .many import COLUMNS, NAMES, ManyLeases, leases_of, rows_of
from .tables import kernel_lease as t

_TYPED = (
    sa.bindparam("lease_id", type_=UUID()),
    sa.bindparam("limit_ids", type_=ListType()),
    sa.bindparam("created", type_=Timestamp()),
    sa.bindparam("expires", type_=Timestamp()),
    sa.bindparam("holder_id", type_=UUID()),
)
_CREATE = Statement(
    by_dialect(
        sqlite=sa.text(
            f"INSERT INTO kernel_lease {NAMES} SELECT :lease_id, key, value, :slots, :created, :expires, :holder_type,"
            " :holder_id FROM json_each(:limit_ids)"
        ).bindparams(*_TYPED),
        postgresql=sa.text(
            f"INSERT INTO kernel_lease {NAMES} SELECT CAST(:lease_id AS uuid), number - 1, limit_id,"
            " CAST(:slots AS integer), CAST(:created AS timestamptz), CAST(:expires AS timestamptz),"
            " CAST(:holder_type AS varchar), CAST(:holder_id AS uuid)"
            " FROM unnest(CAST(:limit_ids AS uuid[])) WITH ORDINALITY AS given (limit_id, number)"
        ).bindparams(*_TYPED),
    )
)

_ID = t.c.lease_id == sa.bindparam("lease_id", type_=UUID())
_AS_SEEN = t.c.expires == sa.bindparam("seen", type_=Timestamp())
_LATER = {"expires": sa.bindparam("later", type_=Timestamp())}
_RENEW, _RENEW_SEEN = (Statement(sa.update(t).values(_LATER).where(*tests)) for tests in ([_ID], [_ID, _AS_SEEN]))
_REVOKE, _REVOKE_SEEN = (Statement(sa.delete(t).where(*tests)) for tests in ([_ID], [_ID, _AS_SEEN]))

_ORDER = (t.c.created, t.c.lease_id, t.c.number)
_ALIVE = t.c.expires > sa.bindparam("now", type_=Timestamp())
_other = t.alias("other")


def _on(*tests: Any) -> sa.ColumnElement[bool]:
    """All rows of the leases one of whose rows is so."""
    return t.c.lease_id.in_(sa.select(_other.c.lease_id).where(*tests))


_BY_ID = Statement(sa.select(*COLUMNS).where(_ID).order_by(t.c.number))
_EXPIRED = Statement(
    sa.select(t.c.lease_id)
    .where(
        t.c.number == sa.literal_column("0"), t.c.expires < sa.bindparam("now", type_=Timestamp())
    )  # the literal lets the partial index be used
    .order_by(t.c.expires)
    .limit(sa.bindparam("count", type_=sa.Integer()))
)
_OF_LIMIT = Statement(
    sa.select(*COLUMNS)
    .where(_on(_other.c.limit_id == sa.bindparam("limit_id", type_=UUID())), t.c.holder_id.is_not(None), _ALIVE)
    .order_by(*_ORDER)
)
_OF_HOLDER = Statement(
    sa.select(*COLUMNS)
    .where(
        _on(
            _other.c.holder_id == sa.bindparam("holder_id", type_=UUID()),
            in_list(_other.c.limit_id, "limit_ids"),
        ),
        _ALIVE,
    )
    .order_by(*_ORDER)
)
_LEASED = Statement(
    sa.select(sa.func.coalesce(sa.func.sum(t.c.slots), 0)).where(t.c.limit_id == sa.bindparam("limit_id", type_=UUID()))
)


class DatabaseLeases(ManyLeases):
    """Leases in `kernel_lease`."""

    # ------------------------------------------------------------ changes
    def create(self, unit: Declares, lease: Lease) -> None:
        unit.write(
            _CREATE(
                lease_id=lease.id,
                limit_ids=list(lease.limit_ids) or [None],
                slots=lease.slots,
                created=lease.created,
                expires=lease.expires,
                holder_type=lease.holder["type"] if lease.holder else None,
                holder_id=lease.holder["id"] if lease.holder else None,
            )
        )

    def renew(self, unit: Declares, id: str, expires: datetime, seen: Lease | None = None) -> None:
        if seen is None:
            unit.write(_RENEW(lease_id=id, later=expires))
        else:
            unit.write(_RENEW_SEEN(lease_id=id, later=expires, seen=seen.expires), expect=rows_of(seen))

    def renew_if_there(self, id: str, expires: datetime) -> Unit[bool]:
        return bool((yield _RENEW.alone({"lease_id": id, "later": expires})))

    def revoke(self, unit: Declares, id: str, seen: Lease | None = None) -> None:
        if seen is None:
            unit.write(_REVOKE(lease_id=id))
        else:
            unit.write(_REVOKE_SEEN(lease_id=id, seen=seen.expires), expect=rows_of(seen))

    # ------------------------------------------------------------ reads
    def get(self, id: str) -> Unit[Lease | None]:
        found = leases_of((yield _BY_ID(lease_id=id)))
        return found[0] if found else None

    def expired(self, now: datetime, limit: int = 100) -> Unit[list[str]]:
        return [id for (id,) in (yield _EXPIRED(now=now, count=limit))]

    def of_limit(self, limit_id: str, now: datetime) -> Unit[list[Lease]]:
        return leases_of((yield _OF_LIMIT(limit_id=limit_id, now=now)))

    def of_holder(self, holder_id: str, limit_ids: list[str], now: datetime) -> Unit[list[Lease]]:
        return leases_of((yield _OF_HOLDER(holder_id=holder_id, limit_ids=limit_ids, now=now)))

    def leased(self, limit_id: str) -> Unit[int | None]:
        ((slots,),) = yield _LEASED(limit_id=limit_id)
        return int(slots)
