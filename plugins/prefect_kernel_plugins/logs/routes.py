"""Route by which logs come in."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from prefect_kernel import web
from prefect_kernel.ids import uuid7
from prefect_kernel.sql import Statement, Unit, by_dialect

from ..common.fields import DateTime, Input
from .group import group
from .tables import log

_KEYS = [column.name for column in log.columns]
_INSERT = Statement(
    by_dialect(
        sqlite=sa.insert(log).values({name: sa.bindparam(name, type_=log.c[name].type) for name in _KEYS}),
        postgresql="""
        INSERT INTO log (id, created, updated, name, level, flow_run_id, task_run_id, message, timestamp)
        SELECT * FROM unnest(:id ::uuid[], :created ::timestamptz[], :updated ::timestamptz[], :name ::text[],
                             :level ::smallint[], :flow_run_id ::uuid[], :task_run_id ::uuid[], :message ::text[],
                             :timestamp ::timestamptz[])""",
    )
)
"""On SQLite one row at a time (that is its fastest way), on PostgreSQL all rows in one statement."""


class LogCreate(Input):
    """One log line of a run."""

    name: str
    level: int
    message: str
    timestamp: DateTime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


def insert(dialect: str, logs: list[LogCreate], now: datetime) -> Unit[None]:
    """Store log lines, all or none. NUL characters, which PostgreSQL cannot store, are left out of texts."""
    rows: list[dict[str, Any]] = [
        {
            "id": uuid7(),
            "created": now,
            "updated": now,
            "name": line.name.replace("\x00", ""),
            "level": line.level,
            "flow_run_id": None if line.flow_run_id is None else str(line.flow_run_id),
            "task_run_id": None if line.task_run_id is None else str(line.task_run_id),
            "message": line.message.replace("\x00", ""),
            "timestamp": line.timestamp,
        }
        for line in logs
    ]
    if not rows:
        return
    if dialect == "postgresql":
        yield _INSERT.bind({key: [row[key] for row in rows] for key in _KEYS})
    else:
        yield _INSERT.many(rows)


@group.post("/", body=list[LogCreate], status=201)
async def create_logs(request: web.Request, body: list[LogCreate]) -> web.Reply:
    """Store the log lines of runs."""
    kernel = request.kernel
    await kernel.storage.write(insert, kernel.storage.dialect, body, kernel.clock.now())
    return web.json(None, 201)
