"""Statements and units of CSRF tokens."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, inserting, point_read
from prefect_kernel.sql.types import Timestamp
from prefect_kernel.wire import Field, Wire

from .tables import csrf_token

COLUMNS = [csrf_token.c[name] for name in "id created updated token client expiration".split()]
WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("token", "text"),
        Field("client", "text"),
        Field("expiration", "time"),
    ]
)

_VALUES = {column.name: sa.bindparam(column.name, type_=column.type) for column in COLUMNS}


def _put(insert: Any) -> Any:
    """A client that has a token gets another; its row stays."""
    made = insert(csrf_token).values(_VALUES)
    new = made.excluded
    return made.on_conflict_do_update(
        index_elements=["client"], set_={"token": new.token, "expiration": new.expiration}
    )


_PUT = Statement(inserting(_put))
_READ = Statement(sa.select(*COLUMNS).where(csrf_token.c.client == sa.bindparam("client")), raw=True)
_VALID = Statement(
    sa.select(csrf_token.c.token).where(
        csrf_token.c.client == sa.bindparam("client"),
        csrf_token.c.expiration > sa.bindparam("now", type_=Timestamp()),
    )
)
_FORGET = Statement(sa.delete(csrf_token).where(csrf_token.c.expiration < sa.bindparam("now", type_=Timestamp())))


def give(client: str, now: datetime, expiration: datetime) -> Unit[Any]:
    """A new token for a client, as a raw row; all that have expired are forgotten."""
    yield _PUT(id=uuid4(), created=now, updated=now, token=secrets.token_hex(32), client=client, expiration=expiration)
    rows = yield _READ(client=client)
    yield _FORGET(now=now)
    return rows[0]


@point_read
def valid(client: str, now: datetime) -> Unit[str | None]:
    """The token that a client must send now."""
    rows = yield _VALID(client=client, now=now)
    return rows[0][0] if rows else None
