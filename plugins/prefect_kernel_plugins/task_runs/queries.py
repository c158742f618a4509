"""Statements and units of single task runs: read, rename, delete."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import UUID, Timestamp

from ..logs.tables import log
from .tables import task_run
from .wire import SELECT_TASK_RUN

_ID = task_run.c.id == sa.bindparam("run_id", type_=UUID())
_RENAME = Statement(
    sa.update(task_run).values(name=sa.bindparam("new_name"), updated=sa.bindparam("now", type_=Timestamp())).where(_ID)
)
_TOUCH = Statement(sa.update(task_run).values(updated=sa.bindparam("now", type_=Timestamp())).where(_ID))
_DELETE = Statement(sa.delete(task_run).where(_ID))
_DELETE_LOGS = Statement(sa.delete(log).where(log.c.task_run_id == sa.bindparam("run_id", type_=UUID())))


@point_read
def by_id(id: str) -> Unit[Any]:
    """The raw row of a run for the wire, or None."""
    rows = yield SELECT_TASK_RUN(id=id)
    return rows[0] if rows else None


def rename(id: str, name: str | None, now: datetime) -> Unit[bool]:
    """Give a run another name (None leaves it); False when there is no such run."""
    if name is None:
        changed = yield _TOUCH(run_id=id, now=now)
    else:
        changed = yield _RENAME(run_id=id, new_name=name, now=now)
    return bool(changed)


def delete(id: str) -> Unit[bool]:
    """Delete a run with its states and logs; False when there is no such run."""
    deleted = yield _DELETE(run_id=id)
    if deleted:
        yield _DELETE_LOGS(run_id=id)
    return bool(deleted)
