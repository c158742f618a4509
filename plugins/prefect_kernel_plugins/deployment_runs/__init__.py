"""Flow runs of deployments: the routes below `/deployments` that make runs, or find those that are due.

Parts: `schemas` (bodies), `create` (a run of a deployment, with its parameters), `routes` (one run, many runs, runs of
schedules), `due` (what who serves a deployment asks for).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import due, routes, scheduling  # noqa: F401 - declares the routes
    from .group import group

    return [group]
