"""Task workers: processes that run background tasks, while they are connected.

`subscriptions` hands out task runs over a WebSocket; `routes` lists who is connected.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import routes, subscriptions  # noqa: F401 - declares the routes
    from .group import group, sockets

    return [group, sockets]


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    from .subscriptions import task_workers

    return [task_workers]
