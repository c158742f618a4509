"""Task runs.

Parts: `tables`, `schemas` (bodies), `wire` (answers), `filters` (POST filters), `create`, `transitions` (proposing
states), `recorder` (runs told by client events), `queues` and `claims` (background tasks), `queries` and `routes`
(single runs), `reads` (lists).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web

from . import filters  # noqa: F401 - the lists of all slices take filters of task runs, and this imports all filters


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import reads, routes, schemas  # noqa: F401 - they declare the routes
    from .group import group

    schemas.max_cache_key_length = settings.server.tasks.max_cache_key_length
    return [group]


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    from .queues import task_queues

    return [task_queues]
