"""Metrics for Prometheus at `GET /api/metrics`, when PREFECT_SERVER_METRICS_ENABLED says so; else nothing is measured.

- `instruments`: what is counted and measured, and how it is read from the kernel
- `routes`: the endpoint, and the lifespan that connects the instruments
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    if not settings.server.metrics_enabled:
        return []
    from .routes import group

    return [group]


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    from .lifespan import measuring

    return [measuring]
