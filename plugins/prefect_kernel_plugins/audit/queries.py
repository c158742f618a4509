"""Statements and units of the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import Timestamp

from .table import audit

T = TypeVar("T")

SHOWN = "seq at request_id actor way client permission operation method path object status".split()
WRITTEN = SHOWN[1:]

INSERT = Statement(
    sa.insert(audit)
    .values({name: sa.bindparam(name, type_=audit.c[name].type) for name in WRITTEN})
    .returning(audit.c.seq)
)
_FINISH = Statement(
    sa.update(audit)
    .values(status=sa.bindparam("new_status", type_=sa.Integer()), object=sa.bindparam("new_object", type_=sa.String()))
    .where(audit.c.seq == sa.bindparam("its_seq", type_=sa.BigInteger()))
)
_FORGET = Statement(
    sa.delete(audit).where(
        audit.c.seq.in_(
            sa.select(audit.c.seq)
            .where(audit.c.at < sa.bindparam("before", type_=Timestamp()))
            .limit(sa.bindparam("count", type_=sa.Integer()))
        )
    )
)
_CONDITIONS: dict[str, sa.ColumnElement[bool]] = {
    **{
        name: audit.c[name] == sa.bindparam(name, type_=sa.String())
        for name in ("actor", "operation", "object", "method")
    },
    "since": audit.c.at >= sa.bindparam("since", type_=Timestamp()),
    "until": audit.c.at < sa.bindparam("until", type_=Timestamp()),
    "before": audit.c.seq < sa.bindparam("before", type_=sa.BigInteger()),
}
FILTERS = tuple(_CONDITIONS)


@lru_cache(2 ** len(_CONDITIONS))
def _page(filters: tuple[str, ...]) -> Statement:
    select = sa.select(*(audit.c[name] for name in SHOWN)).where(*(_CONDITIONS[name] for name in filters))
    return Statement(select.order_by(audit.c.seq.desc()).limit(sa.bindparam("limit", type_=sa.Integer())))


def page(limit: int, given: dict[str, Any]) -> Unit[list[dict[str, Any]]]:
    """The latest rows that match what is given (some of FILTERS), `limit` at most."""
    rows = yield _page(tuple(name for name in FILTERS if name in given)).bind({**given, "limit": limit})
    return [dict(zip(SHOWN, row, strict=True)) for row in rows]


def with_row(row: dict[str, Any], unit: Callable[..., Unit[T]], args: Any, kwargs: Any) -> Unit[tuple[T, int]]:
    """A unit, and a row, in one transaction: what the unit gives, and the row's number."""
    result = yield from unit(*args, **kwargs)
    rows = yield INSERT.bind(row)
    return result, rows[0][0]


def add(row: dict[str, Any]) -> Unit[None]:
    """A row by itself."""
    yield INSERT.bind(row)


def finish(seq: int, status: int, object: str | None) -> Unit[None]:
    """Say how the request of a row was answered, and what it has made."""
    yield _FINISH(its_seq=seq, new_status=status, new_object=object)


def forget(before: datetime, count: int) -> Unit[int]:
    """Delete rows from before a time, `count` at most; how many that were."""
    changed: int = yield _FORGET(before=before, count=count)
    return changed


def by_command(operation: str, object: str, now: datetime) -> dict[str, Any]:
    """The row of a change that was made on the command line."""
    import getpass

    return {
        "at": now, "request_id": uuid4(), "actor": getpass.getuser(), "way": "command line", "client": None,
        "permission": "admin", "operation": operation, "method": "", "path": "", "object": object, "status": None,
    }  # fmt: skip
