"""Task workers: processes that run background tasks, while they are connected.

`subscriptions` hands out task runs over a WebSocket; `POST /task_workers/filter` lists who is connected.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web

from . import routes, subscriptions
from .group import group, sockets

__all__ = ["group", "routes", "sockets", "subscriptions"]


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    return [group, sockets]


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    return [subscriptions.task_workers]
