"""`/logs/out`: log lines as they come in, for those that ask for them.

Lines are published when PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED is on, and sent to subscribers when
PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED is. What a slow subscriber misses is in the database.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect_kernel import web

from ..common.sockets import receive_filter, send_until_gone
from .filters import LOG_FILTER
from .group import group

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

TOPIC = "logs"
"""Messages are lists of lines that were committed."""

BACKLOG = 256
"""Messages that may wait for a slow subscriber; then the oldest give way."""

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
        await send_until_gone(socket, _send(socket, received[1]))


async def _send(socket: web.WebSocket, filter: Any) -> None:
    kernel = socket.kernel
    wanted = kernel.settings.server.logs.stream_out_enabled
    async with kernel.broker.subscribe(TOPIC, limit=BACKLOG) as live:
        async for lines in live:
            for line in lines if wanted else ():
                if includes(filter, line):
                    await socket.send(encoded(line))
