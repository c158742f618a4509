"""Deployments and their schedules.

Parts: `tables`, `schemas` (bodies), `wire` (answers), `filters` (POST filters), `reads` (lists), `queries` (read,
pause, delete), `upsert` and `update`, `limits` (a deployment's concurrency limit), `schedule_rows` and
`schedule_routes`, `events`, `queue_check`, `routes` (single deployments) and `bulk`. Routes that make or find flow runs
are in the slice `deployment_runs`; who asks for runs makes deployments ready (`work_pools.readiness`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import bulk, queue_check, reads, routes, schedule_routes, schemas  # noqa: F401 - declares the routes
    from .group import group

    schemas.max_scheduled_runs = settings.server.deployment_schedule_max_scheduled_runs
    return [group]
