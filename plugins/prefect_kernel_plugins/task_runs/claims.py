"""Who has been handed which background task: a claim per run, in the database, so that no two workers get the same.

A deferred run stays SCHEDULED until its worker reports that it has begun, which may be long after it took it. The claim
is what tells such a run from one that waits, also to other server processes and after a restart. It is for one state: a
run that is scheduled anew can be claimed anew. Until it is acknowledged it expires, since its server may be gone; a
server that is there renews it while its worker is connected. Who claims is given a token, without which a claim can
neither be kept nor given up: one that was lost to somebody else is theirs.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefect_kernel import errors
from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit, in_list, inserting, json_value
from prefect_kernel.sql.types import POSTGRESQL, UUID, Timestamp

from .tables import task_claim, task_run, task_run_state
from .wire import SELECT_TASK_RUN, TASK_RUN_COLUMNS

EXPIRY = timedelta(seconds=30)
"""How long a claim lasts that is neither acknowledged nor renewed."""

_NOW = sa.bindparam("now", type_=Timestamp())
_RUN = sa.bindparam("run_id", type_=UUID())
_STATE = sa.bindparam("state_id", type_=UUID())
_TOKEN = sa.bindparam("token", type_=UUID())
_EXPIRES = sa.bindparam("expires", type_=Timestamp())

_STATE_ID = next(i for i, column in enumerate(TASK_RUN_COLUMNS) if column is task_run.c.state_id)

_claimed = sa.exists().where(
    task_claim.c.task_run_id == task_run.c.id,
    task_claim.c.state_id == task_run.c.state_id,
    sa.or_(task_claim.c.expires.is_(None), task_claim.c.expires >= _NOW),
)
_WAITING = Statement(
    sa.select(task_run.c.id, task_run.c.task_key)
    .select_from(task_run.join(task_run_state, task_run_state.c.id == task_run.c.state_id))
    .where(
        task_run.c.state_type == "SCHEDULED",
        in_list(task_run.c.task_key, "keys"),
        json_value(task_run_state.c.state_details, "deferred") == sa.bindparam("true"),
        sa.not_(_claimed),
    )
    .order_by(task_run.c.expected_start_time)
    .limit(sa.bindparam("count", type_=sa.Integer()))
)
_STATE_OF = Statement(sa.select(task_run.c.state_id).where(task_run.c.id == _RUN, task_run.c.state_type == "SCHEDULED"))


def _claim(insert: Any) -> Any:
    statement = insert(task_claim).values(task_run_id=_RUN, state_id=_STATE, expires=_EXPIRES, token=_TOKEN)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["task_run_id"],
        set_={"state_id": new.state_id, "expires": new.expires, "token": new.token},
        where=sa.or_(task_claim.c.state_id != new.state_id, task_claim.c.expires < _NOW),
    )


_CLAIM = Statement(inserting(_claim))
_MINE = (task_claim.c.task_run_id == _RUN, task_claim.c.token == _TOKEN, task_claim.c.expires.is_not(None))
_RENEW = Statement(sa.update(task_claim).where(*_MINE).values(expires=_EXPIRES))
_KEEP = Statement(sa.update(task_claim).where(*_MINE).values(expires=sa.null()))
_RELEASE = Statement(sa.delete(task_claim).where(*_MINE))
_FORGET = Statement(
    sa.delete(task_claim).where(
        ~sa.exists().where(task_run.c.id == task_claim.c.task_run_id, task_run.c.state_id == task_claim.c.state_id)
    )
)


def waiting(dialect: str, keys: list[str], count: int, now: datetime) -> Unit[list[tuple[str, str]]]:
    """(id, task key) of deferred runs that nobody has taken, those that have waited longest first."""
    true = "true" if dialect == POSTGRESQL else True
    rows: list[tuple[str, str]] = yield _WAITING(keys=keys, count=count, true=true, now=now)
    return rows


def claim(run_id: str, now: datetime) -> Unit[tuple[str, Any] | None]:
    """Claim a run: the claim's token, and the run's raw row for the wire.

    None when it was deleted, cancelled, begun or claimed while it waited.
    """
    found = yield _STATE_OF(run_id=run_id)
    if not found:
        return None
    state_id, token = found[0][0], uuid4()
    if not (yield _CLAIM(run_id=run_id, state_id=state_id, expires=now + EXPIRY, now=now, token=token)):
        return None
    rows = yield SELECT_TASK_RUN(id=run_id)
    if not rows or str(rows[0][_STATE_ID]) != state_id:
        raise errors.Raced  # it has left the state that was claimed
    return token, rows[0]


def renew(run_id: str, token: str, now: datetime) -> Unit[bool]:
    """Keep a claim for another while; False when it is lost."""
    return bool((yield _RENEW(run_id=run_id, token=token, expires=now + EXPIRY)))


def acknowledge(run_id: str, token: str) -> Unit[bool]:
    """Keep a claim for good: the worker has the run. False when it is lost."""
    return bool((yield _KEEP(run_id=run_id, token=token)))


def release(run_id: str, token: str) -> Unit[bool]:
    """Give up a claim that was not acknowledged; False when it is lost."""
    return bool((yield _RELEASE(run_id=run_id, token=token)))


def forget() -> Unit[None]:
    """Remove the claims of states that their runs have left."""
    yield _FORGET()
