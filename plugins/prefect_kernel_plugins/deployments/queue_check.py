"""Which old work queues take the runs of a deployment: those whose filter lets it through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefect_kernel import errors, web
from prefect_kernel.sql import Statement, Unit
from prefect_kernel.wire import Field, Wire

from ..work_pools.tables import work_queue
from .group import group
from .queries import facts_of

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

_KINDS = {
    "id": "word",
    "created": "time",
    "updated": "time",
    "name": "text",
    "description": "text",
    "is_paused": "bool",
    "concurrency_limit": "int",
    "priority": "int",
    "work_pool_id": "word",
    "filter": "json",
    "last_polled": "time",
}
_QUEUE_WIRE = Wire([Field(name, kind) for name, kind in _KINDS.items()])
_FILTERS = Statement(sa.select(work_queue.c.id, work_queue.c.filter).where(work_queue.c.filter.is_not(None)))
_QUEUES = Statement(
    sa.select(*(work_queue.c[name] for name in _KINDS)).where(work_queue.c.filter.is_not(None)), raw=True
)


def _lets_through(filter: dict[str, Any], id: str, tags: list[str]) -> bool:
    """Null and nothing mean any, provided that they are said."""
    if "tags" not in filter or "deployment_ids" not in filter:
        return False
    wanted, ids = filter["tags"] or [], filter["deployment_ids"] or []
    return set(wanted) <= set(tags) and (not ids or id in ids)


def check_queues(kernel: Kernel, id: str) -> Unit[bytes]:
    """The queues as a JSON array. Raises NotFound."""
    of = yield from facts_of(id)
    if of is None:
        raise errors.NotFound("Deployment not found")
    fitting = {row[0] for row in (yield _FILTERS()) if _lets_through(row[1], str(of["id"]), of["tags"])}
    rows = [row for row in (yield _QUEUES()) if row[0] in fitting] if fitting else []
    return _QUEUE_WIRE.many(kernel.storage.dialect, rows)


@group.get("/{id:uuid}/work_queue_check", permission="read", response="WorkQueue[]")
async def work_queue_check_for_deployment(request: web.Request) -> web.Reply:
    """The work queues whose filter lets a deployment's runs through; queues without a filter take none like this."""
    return web.raw(await request.kernel.storage.read(check_queues, request.kernel, request.path["id"]))
