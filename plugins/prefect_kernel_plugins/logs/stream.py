"""`/logs/out`: log lines as they come in, for those that ask for them.

Lines are published when PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED is on, and sent to subscribers when
PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED is. What a subscriber misses, since it is slow or another server process could
not be heard, is looked up in the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from prefect_kernel import web
from prefect_kernel.filtering import Shape
from prefect_kernel.ports.broker import Missed, Topic
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import UUID, Timestamp

from ..common.sockets import Remembered, looked_up, receive_filter, stored_since, stored_until
from .filters import LOG_FILTER, LOGS
from .group import group
from .reads import LogList
from .tables import log

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


def _from_message(data: bytes) -> list[dict[str, Any]]:
    return [{**line, "timestamp": datetime.fromisoformat(line["timestamp"])} for line in orjson.loads(data)]


TOPIC = Topic("logs", web.dumps, _from_message)
"""Messages are lists of lines that were committed."""

BACKLOG = 256
"""Messages that may wait for a slow subscriber."""

LATE = timedelta(minutes=15)
"""How long before it was stored a line that was missed may have been written."""

PAGE = 200
"""Lines that are looked up at once."""

_MEMBERS = ("id", "created", "updated", "name", "level", "message", "timestamp", "flow_run_id", "task_run_id")


async def publish(kernel: Kernel, rows: list[dict[str, Any]]) -> None:
    """Announce lines that were stored."""
    if rows and kernel.settings.server.logs.stream_publishing_enabled:
        await kernel.broker.publish(TOPIC, rows)


def includes(filter: Any, line: dict[str, Any]) -> bool:
    """Whether a line matches a filter; as in the reference, its `text` and `operator` are not asked here."""
    level, timestamp, flow_run, task_run = filter.level, filter.timestamp, filter.flow_run_id, filter.task_run_id
    if level is not None and not _within(line["level"], level.ge_, level.le_):
        return False
    if timestamp is not None:
        moment: datetime = line["timestamp"]
        if not _within(moment, timestamp.after_, timestamp.before_):
            return False
    if flow_run is not None and not _among(line["flow_run_id"], flow_run.any_):
        return False
    if task_run is None:
        return True
    null = task_run.is_null_
    return _among(line["task_run_id"], task_run.any_) and (null is None or null == (line["task_run_id"] is None))


def _within(value: Any, least: Any, most: Any) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _among(id: str | None, ids: list[Any] | None) -> bool:
    return ids is None or (id is not None and any(str(one) == id for one in ids))


def encoded(line: dict[str, Any]) -> bytes:
    """A message to a subscriber."""
    log = {name: line.get(name) for name in _MEMBERS} | {"created": None, "updated": None}
    return b'{"type":"log","log":%b}' % web.dumps(log)


@group.websocket("/out", permission="read")
async def stream_logs_out(socket: web.WebSocket) -> None:
    """Log lines as they come in, each as `{"type": "log", "log": …}`, for a filter that the client sends first."""
    if not await socket.handshake():
        return
    received = await receive_filter(socket, lambda message: LOG_FILTER.model.model_validate(message["filter"]))
    if received is not None:
        await socket.until_gone(_send(socket, received[1]))


async def _send(socket: web.WebSocket, filter: Any) -> None:
    kernel = socket.kernel
    wanted = kernel.settings.server.logs.stream_out_enabled
    sent = Remembered()
    async with kernel.broker.subscribe(TOPIC, limit=BACKLOG, gaps=True) as live:
        began = kernel.clock.now()
        async for lines in live:
            if not wanted:
                continue
            if isinstance(lines, Missed):
                found = looked_up(partial(_stored, kernel, filter, stored_since(kernel, lines, began)))
            else:
                found = _each(lines)
            async for line in found:
                if includes(filter, line) and sent.add(line["id"]):
                    await socket.send(encoded(line))


async def _each(lines: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for line in lines:
        yield line


async def _stored(kernel: Kernel, filter: Any, since: datetime) -> AsyncIterator[dict[str, Any]]:
    """The lines stored since then, the oldest first, without most of those that the filter does not include."""
    span = {"stored_since": since, "written_since": since - LATE, "stored_until": stored_until(kernel)}
    after: dict[str, Any] | None = None
    while True:
        rows = await kernel.storage.read(_lines_after, filter, span, after)
        for row in rows:
            after = dict(zip(_STORED, row, strict=True))
            yield after
        if len(rows) < PAGE:
            return


_STORED = ("id", "name", "level", "message", "timestamp", "flow_run_id", "task_run_id")


def _lines_after(filter: Any, span: dict[str, datetime], after: dict[str, Any] | None) -> Unit[list[Any]]:
    """The first lines of a span, or those after a line: others may come in before it meanwhile."""
    body = LogList.type(logs=filter.model_copy(update={"text": None}))  # as with what comes in, its text is not asked
    params: dict[str, Any] = {**span, "limit": PAGE}
    if after is not None:
        params |= {"written_since": after["timestamp"], "after": after["timestamp"], "after_id": str(after["id"])}
    rows: list[Any] = yield _after_statement(LOGS.take(body, params), after is not None).bind(params)
    return rows


@lru_cache(128)
def _after_statement(shape: Shape, after: bool) -> Statement:
    conditions = [
        log.c.created >= sa.bindparam("stored_since", type_=Timestamp()),
        log.c.created <= sa.bindparam("stored_until", type_=Timestamp()),
        log.c.timestamp >= sa.bindparam("written_since", type_=Timestamp()),
    ]
    if after:
        later = log.c.timestamp > sa.bindparam("after", type_=Timestamp())
        conditions.append(sa.or_(later, log.c.id > sa.bindparam("after_id", type_=UUID())))
    return Statement(
        sa.select(*(log.c[name] for name in _STORED))
        .where(*LOGS.conditions(shape), *conditions)
        .order_by(log.c.timestamp, log.c.id)
        .limit(sa.bindparam("limit", type_=sa.Integer()))
    )
