"""The logs of a flow run as a CSV file, read and sent page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa

from prefect_kernel import errors, web
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.sql.types import UUID, Timestamp

from ..logs.tables import log
from .group import group
from .tables import flow_run

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

PAGE = 1000
"""Lines that are read at once."""

_HEAD = ("timestamp", "level", "flow_run_id", "task_run_id", "message")
_NAME = Statement(sa.select(flow_run.c.name).where(flow_run.c.id == sa.bindparam("id", type_=UUID())))
_COLUMNS = [*(log.c[name] for name in _HEAD), log.c.id]
_RUN = log.c.flow_run_id == sa.bindparam("run_id", type_=UUID())
_ORDER = (log.c.timestamp, log.c.id)
_FIRST = Statement(sa.select(*_COLUMNS).where(_RUN).order_by(*_ORDER).limit(PAGE))
_at = sa.bindparam("at", type_=Timestamp())
_NEXT = Statement(
    sa.select(*_COLUMNS)
    .where(
        _RUN,
        log.c.timestamp >= _at,
        sa.or_(log.c.timestamp > _at, log.c.id > sa.bindparam("after", type_=UUID())),
    )
    .order_by(*_ORDER)
    .limit(PAGE)
)


@point_read
def name_of(id: str) -> Unit[str | None]:
    """The name of a flow run, or None."""
    rows = yield _NAME(id=id)
    return rows[0][0] if rows else None


def page_after(run_id: str, last: tuple[datetime, str] | None) -> Unit[list[Any]]:
    """The lines after a line (its time and id), oldest first."""
    rows: list[Any] = yield _FIRST(run_id=run_id) if last is None else _NEXT(run_id=run_id, at=last[0], after=last[1])
    return rows


async def _lines(kernel: Kernel, run_id: str) -> AsyncIterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEAD)
    last: tuple[datetime, str] | None = None
    more = True
    while more:
        rows = await kernel.storage.read(page_after, run_id, last)
        for *line, id in rows:
            writer.writerow(line)
            last = line[0], id
        more = len(rows) == PAGE
        yield text.getvalue().encode("utf-8", "replace")
        text.seek(0)
        text.truncate()


@group.get("/{id:uuid}/logs/download", permission="read", media="text/csv")
async def download_logs(request: web.Request) -> web.Reply:
    """All logs of a flow run as a CSV file."""
    kernel, run_id = request.kernel, request.path["id"]
    name = await kernel.storage.read(name_of, run_id)
    if name is None:
        raise errors.NotFound("Flow run not found")
    filename = quote(f"{name}-logs.csv", safe="")
    disposition = f"attachment; filename=\"flow-run-logs.csv\"; filename*=UTF-8''{filename}"
    return web.Stream(
        _lines(kernel, run_id),
        [(b"content-disposition", disposition.encode()), (b"content-type", b"text/csv; charset=utf-8")],
    )
