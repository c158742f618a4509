"""The database vacuum: what is older than its retention is deleted, in many small transactions."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

import sqlalchemy as sa

from prefect_kernel import Service
from prefect_kernel.sql import Statement, Unit, in_list
from prefect_kernel.sql.types import UUID, Timestamp

from ..artifacts.tables import artifact, artifact_collection
from ..events.tables import event_resources as event_resource
from ..events.tables import events as event
from ..flow_runs.tables import flow_run
from ..logs.tables import log as log_table
from .paging import NO_ID, read, write

log = logging.getLogger("prefect_kernel.services")

_COUNT = sa.bindparam("count", type_=sa.Integer())
_BEFORE = sa.bindparam("before", type_=Timestamp())
_TERMINAL = [sa.literal_column(f"'{state}'") for state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")]

OLD_RUNS = Statement(
    sa.select(flow_run.c.id)
    .where(
        flow_run.c.end_time < _BEFORE,
        flow_run.c.state_type.in_(_TERMINAL),
        flow_run.c.parent_task_run_id.is_(None),
    )
    .order_by(flow_run.c.end_time)
    .limit(_COUNT)
    .with_for_update(skip_locked=True)
)
_DELETE_RUNS = Statement(sa.delete(flow_run).where(in_list(flow_run.c.id, "ids")))


def _some_of(table: sa.Table, *where: sa.ColumnElement[bool]) -> Statement:
    """Delete `count` rows of a table that meet a condition."""
    return Statement(sa.delete(table).where(table.c.id.in_(sa.select(table.c.id).where(*where).limit(_COUNT))))


_OF_RUNS = {table.name: _some_of(table, in_list(table.c.flow_run_id, "ids")) for table in (log_table, artifact)}
_OLD_EVENTS = _some_of(event, event.c.occurred < _BEFORE)
_OLD_RESOURCES = _some_of(event_resource, event_resource.c.occurred < _BEFORE)
_TYPE = sa.bindparam("type", type_=sa.String())
_EVENTS_OF_TYPE = Statement(
    sa.select(event.c.id).where(event.c.event == _TYPE, event.c.occurred < _BEFORE).limit(_COUNT)
)
_RESOURCES_OF = Statement(sa.delete(event_resource).where(in_list(event_resource.c.event_id, "ids")))
_EVENTS = Statement(sa.delete(event).where(in_list(event.c.id, "ids")))


@lru_cache
def _owners(table: sa.Table) -> Statement:
    """The runs that rows of a table say they belong to, in order, each once."""
    return Statement(
        sa.select(table.c.flow_run_id)
        .where(table.c.flow_run_id > sa.bindparam("after", type_=UUID()))
        .distinct()
        .order_by(table.c.flow_run_id)
        .limit(_COUNT)
    )


_EXISTING = Statement(sa.select(flow_run.c.id).where(in_list(flow_run.c.id, "ids")))
_STALE = Statement(
    sa.select(artifact_collection.c.id, artifact_collection.c.key)
    .where(
        ~sa.exists(
            sa.select(sa.literal_column("1"))
            .select_from(artifact)
            .where(artifact.c.id == artifact_collection.c.latest_id)
            .correlate(artifact_collection)
        )
    )
    .limit(_COUNT)
)
_COPIED = "data metadata_ description type created updated flow_run_id task_run_id".split()
_LATEST = Statement(
    sa.select(artifact.c.id, *(artifact.c[name] for name in _COPIED))
    .where(artifact.c.key == sa.bindparam("key", type_=sa.String()))
    .order_by(artifact.c.created.desc())
    .limit(1)
)
_REPOINT = Statement(
    sa.update(artifact_collection)
    .values(
        latest_id=sa.bindparam("latest", type_=UUID()),
        **{name: sa.bindparam(f"new_{name}", type_=artifact_collection.c[name].type) for name in _COPIED},
    )
    .where(artifact_collection.c.id == sa.bindparam("collection", type_=UUID()))
)
_FORGET = Statement(
    sa.delete(artifact_collection).where(artifact_collection.c.id == sa.bindparam("collection", type_=UUID()))
)


def delete_runs(before: datetime, count: int) -> Unit[list[str]]:
    """Delete runs that ended before a time, `count` at most; their ids. Runs that somebody is changing are left."""
    ids = [row[0] for row in (yield OLD_RUNS(before=before, count=count))]
    if ids:
        yield _DELETE_RUNS(ids=ids)
    return ids


def _delete_events_of(type: str, before: datetime, count: int) -> Unit[int]:
    ids = [row[0] for row in (yield _EVENTS_OF_TYPE(type=type, before=before, count=count))]
    if ids:
        yield _RESOURCES_OF(ids=ids)
        yield _EVENTS(ids=ids)
    return len(ids)


def _reconcile(count: int) -> Unit[int]:
    """Point collections whose latest artifact is gone to the latest that there is, or drop them; how many."""
    stale = yield _STALE(count=count)
    for id, key in stale:
        rows = yield _LATEST(key=key)
        if rows:
            values = {f"new_{name}": value for name, value in zip(_COPIED, rows[0][1:], strict=True)}
            yield _REPOINT(collection=id, latest=rows[0][0], **values)
        else:
            yield _FORGET(collection=id)
    return len(stale)


class _Vacuum(Service):
    """What the vacuums have in common."""

    setting: ClassVar[str] = "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"
    kind: ClassVar[str]

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return cls.kind in settings.server.services.db_vacuum.kinds

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.db_vacuum.loop_seconds)

    @property
    def batch(self) -> int:
        """Rows per transaction."""
        size: int = self.kernel.settings.server.services.db_vacuum.batch_size
        return size

    async def drain(self, statement: Statement, **params: Any) -> int:
        """Run a deletion of some until there is nothing left; how many that were."""
        total = 0
        while changed := await write(self.kernel, statement, count=self.batch, **params):
            total += changed
            await asyncio.sleep(0)
        return total


class FlowRunVacuum(_Vacuum):
    """Deletes runs that ended longer ago than the retention period, with their logs and artifacts."""

    name: ClassVar[str] = "db-vacuum-flow-runs"
    kind: ClassVar[str] = "flow_runs"

    async def tick(self) -> None:
        kernel = self.kernel
        before = kernel.clock.now() - kernel.settings.server.services.db_vacuum.retention_period
        number = 0
        while ids := await kernel.storage.write(delete_runs, before, self.batch):
            number += len(ids)
            for statement in _OF_RUNS.values():
                await self.drain(statement, ids=ids)
        if number:
            log.info("database vacuum: deleted %d flow runs", number)


class EventVacuum(_Vacuum):
    """Deletes events that are older than their retention period; for some kinds that may be shorter."""

    name: ClassVar[str] = "db-vacuum-events"
    kind: ClassVar[str] = "events"

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        return super().enabled(settings) and bool(settings.server.services.event_persister.enabled)

    async def tick(self) -> None:
        kernel, settings = self.kernel, self.kernel.settings.server
        now, period = kernel.clock.now(), settings.events.retention_period
        number = 0
        for type, own in settings.services.db_vacuum.event_retention_overrides.items():
            while gone := await kernel.storage.write(_delete_events_of, type, now - min(own, period), self.batch):
                number += gone
        await self.drain(_OLD_RESOURCES, before=now - period)
        number += await self.drain(_OLD_EVENTS, before=now - period)
        if number:
            log.info("database vacuum: deleted %d events", number)


class OrphanVacuum(_Vacuum):
    """Deletes logs and artifacts of runs that are gone, and puts collections of artifacts right."""

    name: ClassVar[str] = "db-vacuum-orphans"
    kind: ClassVar[str] = "orphans"

    @classmethod
    def every(cls, settings: Any) -> float:
        return float(settings.server.services.db_vacuum.orphan_cleanup_loop_seconds)

    async def tick(self) -> None:
        kernel = self.kernel
        for table in (log_table, artifact):
            after = NO_ID
            while owners := [row[0] for row in await read(kernel, _owners(table), after=after, count=self.batch)]:
                existing = {row[0] for row in await read(kernel, _EXISTING, ids=owners)}
                orphaned = [id for id in owners if id not in existing]
                if orphaned:
                    await self.drain(_OF_RUNS[table.name], ids=orphaned)
                after = owners[-1]
        while await kernel.storage.write(_reconcile, self.batch):  # noqa: ASYNC110 - others have their turn
            await asyncio.sleep(0)
