"""Lists of logs."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

from prefect_kernel import web
from prefect_kernel.filtering import Shape
from prefect_kernel.sql import Statement
from prefect_kernel.sql.paging import page_statement
from prefect_kernel.wire import Field, Wire

from ..common.paging import Listed, checked_limit, filtered_by, read_list
from .filters import LOG_FILTER, LOGS
from .group import group
from .tables import log

LOG_WIRE = Wire(
    [
        Field("id", "word"),
        Field("created", "time"),
        Field("updated", "time"),
        Field("name", "text"),
        Field("level", "int"),
        Field("message", "text"),
        Field("timestamp", "time"),
        Field("flow_run_id", "word"),
        Field("task_run_id", "word"),
    ]
)
"""A log line as clients see it."""

_COLUMNS = [log.c[member.key] for member in LOG_WIRE.members]


class LogSort(str, Enum):
    """How lists of logs can be sorted."""

    TIMESTAMP_ASC = "TIMESTAMP_ASC"
    TIMESTAMP_DESC = "TIMESTAMP_DESC"


LogList = filtered_by("LogList", Listed, "logs", LOG_FILTER, sort=(LogSort, LogSort.TIMESTAMP_ASC))


@lru_cache(128)
def page(shape: Shape, descending: bool) -> Statement:
    """The log lines that match a shape, in order of time."""
    sort = (log.c.timestamp, descending)
    return page_statement(log, _COLUMNS, lambda found: found, LOGS.conditions(shape), sort)


@group.post("/filter", body=LogList, embed=True, permission="read", response="Log[]")
async def read_logs(request: web.Request, body: Any) -> web.Reply:
    """The log lines that match, the oldest first unless `sort` says otherwise."""
    params = {"limit": checked_limit(request, body.limit), "offset": body.offset}
    statement = page(LOGS.take(body, params), body.sort is LogSort.TIMESTAMP_DESC)
    kernel = request.kernel
    return web.raw(await kernel.storage.read(read_list, kernel, LOG_WIRE, statement, params))
