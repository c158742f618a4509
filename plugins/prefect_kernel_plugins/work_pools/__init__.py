"""Work pools, their queues and workers.

Parts: `tables`, `schemas` (bodies), `wire` (answers), `filters`, `pools` and `queues` (units that change them),
`queries` (queues by name, made where they are missing), `notices` (events), `reads`, `routes`, `queue_routes`,
`worker_routes`, `workers` (signs of life), `scheduled` (what a poll gives), `readiness` (what a poll writes),
`slot_status`, `templates` (defaults of base job templates), `foreman` (who is silent); of the worker channel:
`channel`, `frames`, `snapshots`, `cleanup` (messages about what is to be cleaned up), `dispatch`, `exchange` (with
other server processes), `reconciler`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import Service, hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    """The routes of pools, queues and workers."""
    from . import queue_routes, routes, worker_routes  # noqa: F401 - declares the routes
    from .group import group

    return [group]


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    """Messages about what is to be cleaned up go to where workers are."""
    from .exchange import cleanup_exchange

    return [cleanup_exchange]


@hookimpl
def kernel_services(settings: Any) -> Iterable[type[Service]]:
    """The foreman, and the reconciler of messages about what is to be cleaned up."""
    from .foreman import Foreman
    from .reconciler import CleanupReconciler

    return [Foreman, CleanupReconciler]
