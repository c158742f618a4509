"""Who is connected to run background tasks."""

from __future__ import annotations

from prefect_kernel import web

from ..common.fields import Lenient
from .group import group
from .subscriptions import WORKERS


class TaskWorkerFilter(Lenient):
    """Workers that serve any of these task keys; an empty list means every worker."""

    task_keys: list[str]


class TaskWorkerQuery(Lenient):
    """Body parameters of the filter."""

    task_worker_filter: TaskWorkerFilter | None = None


@group.post("/filter", permission="read", body=TaskWorkerQuery, embed=True, response="TaskWorkerResponse[]")
async def read_task_workers(request: web.Request, body: TaskWorkerQuery) -> web.Reply:
    """The connected workers, or those that serve certain task keys."""
    wanted = set(body.task_worker_filter.task_keys) if body.task_worker_filter else set()
    workers = request.kernel.stash[WORKERS].connected.values()
    return web.json(
        [
            {"identifier": w.identifier, "task_keys": sorted(w.task_keys), "timestamp": w.timestamp}
            for w in workers
            if not wanted or wanted & set(w.task_keys)
        ]
    )
