"""Route by which logs come in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from prefect_kernel import web
from prefect_kernel.ids import uuid7
from prefect_kernel.sql import Statement, Unit, by_dialect
from prefect_kernel.sql.types import POSTGRESQL, timestamp_to_text

from ..common.fields import DateTime, Input
from . import stream
from .group import group
from .tables import log

_INSERT = Statement(
    by_dialect(
        # One row at a time (that is its fastest way), with values as they are stored.
        sqlite=sa.insert(log).values({c.name: sa.bindparam(c.name, type_=sa.Text()) for c in log.columns}),
        postgresql="""
        INSERT INTO log (id, name, level, message, timestamp, flow_run_id, task_run_id, created, updated)
        SELECT l.*, :created ::timestamptz, :created ::timestamptz
          FROM unnest(:id ::uuid[], :name ::text[], :level ::smallint[], :message ::text[], :timestamp ::timestamptz[],
                      :flow_run_id ::uuid[], :task_run_id ::uuid[]) AS l""",
    )
)


class LogCreate(Input):
    """One log line of a run."""

    name: str
    level: int
    message: str
    timestamp: DateTime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


def to_rows(logs: Sequence[LogCreate]) -> list[dict[str, Any]]:
    """Log lines as they are stored. NUL characters, which PostgreSQL cannot store, are left out of texts."""
    return [
        {
            "id": uuid7(),
            "name": line.name.replace("\x00", ""),
            "level": line.level,
            "message": line.message.replace("\x00", ""),
            "timestamp": line.timestamp,
            "flow_run_id": None if line.flow_run_id is None else str(line.flow_run_id),
            "task_run_id": None if line.task_run_id is None else str(line.task_run_id),
        }
        for line in logs
    ]


def insert(dialect: str, rows: list[dict[str, Any]], now: datetime) -> Unit[None]:
    """Store log lines, all or none."""
    if not rows:
        return
    if dialect == POSTGRESQL:
        yield _INSERT.bind({key: [row[key] for row in rows] for key in rows[0]} | {"created": now})
        return
    times = dict.fromkeys(("created", "updated"), timestamp_to_text(now))
    yield _INSERT.many([row | times | {"timestamp": timestamp_to_text(row["timestamp"])} for row in rows])


@group.post("/", permission="run", body=Sequence[LogCreate], status=201)
async def create_logs(request: web.Request, body: Sequence[LogCreate]) -> web.Reply:
    """Store the log lines of runs."""
    kernel = request.kernel
    rows = to_rows(body)
    await kernel.storage.write(insert, kernel.storage.dialect, rows, kernel.clock.now())
    await stream.publish(kernel, rows)
    return web.json(None, 201)
