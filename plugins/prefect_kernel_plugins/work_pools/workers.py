"""Signs of life of workers."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.statement import ByDialect, insert_of
from prefect_kernel.sql.types import POSTGRESQL, UUID, Timestamp

from . import pools
from .reads import no_pool
from .tables import work_pool, worker

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


def _beat(dialect: str, with_interval: bool) -> Any:
    """Insert or refresh a worker of the pool of a name, and tell how the pool is."""
    values: dict[str, Any] = {
        "id": sa.bindparam("id", type_=UUID()),
        "created": sa.bindparam("now", type_=Timestamp()),
        "updated": sa.bindparam("now", type_=Timestamp()),
        "name": sa.bindparam("worker"),
        "last_heartbeat_time": sa.bindparam("now", type_=Timestamp()),
        "work_pool_id": work_pool.c.id,
        "status": sa.literal_column("'ONLINE'"),
    }
    if dialect == POSTGRESQL:
        values |= {
            name: sa.cast(value, worker.c[name].type) for name, value in values.items() if name != "work_pool_id"
        }
    names = ["last_heartbeat_time", "status"]
    if with_interval:
        interval = sa.bindparam("interval", type_=sa.Integer())
        values["heartbeat_interval_seconds"] = interval
        names.append("heartbeat_interval_seconds")
    row = sa.select(*values.values()).where(work_pool.c.name == sa.bindparam("pool"))
    statement = insert_of(dialect)(worker).from_select(list(values), row)
    return statement.on_conflict_do_update(
        index_elements=["work_pool_id", "name"], set_={name: statement.excluded[name] for name in names}
    ).returning(
        sa.literal_column("(SELECT its.status FROM work_pool AS its WHERE its.id = worker.work_pool_id)"),
        sa.literal_column("(SELECT its.updated FROM work_pool AS its WHERE its.id = worker.work_pool_id)", Timestamp()),
    )


_BEATS = {
    with_interval: Statement(ByDialect(partial(_beat, with_interval=with_interval))) for with_interval in (False, True)
}
_DELETE = Statement(
    sa.delete(worker).where(
        worker.c.work_pool_id == sa.bindparam("pool_id", type_=UUID()), worker.c.name == sa.bindparam("worker")
    )
)


def beat(kernel: Kernel, pool: str, name: str, interval: int | None, now: datetime) -> Unit[tuple[bool, datetime]]:
    """Note a worker's sign of life; whether it made its pool READY, and when that changed. Raises NotFound."""
    params = {"id": uuid4(), "now": now, "worker": name, "pool": pool}
    if interval is None:
        rows = yield _BEATS[False].alone(params)
    else:
        rows = yield _BEATS[True].alone({**params, "interval": interval})
    if not rows:
        raise no_pool(pool)
    status, updated = rows[0]
    if status != "NOT_READY":
        return False, updated
    found = yield from pools.by_name(pool)
    if found is None or found["status"] != "NOT_READY":
        return False, updated
    yield from pools.update(kernel, found, {"status": "READY"}, now)
    return True, updated


async def heartbeat(kernel: Kernel, pool: str, name: str, interval: int | None) -> datetime:
    """A worker is alive: it is ONLINE, and its pool READY unless it is paused. Raises NotFound.

    Gives when the pool was changed before.
    """
    ready, updated = await kernel.storage.write(beat, kernel, pool, name, interval, kernel.clock.now())
    if ready:
        kernel.events.committed()
    return updated


def delete(pool_id: str, name: str) -> Unit[bool]:
    """Delete a worker; False when there is none of that name."""
    deleted = yield _DELETE(pool_id=pool_id, worker=name)
    return bool(deleted)
