"""Global concurrency limits: slots that many may take, within a number or at a rate.

Parts: `tables`, `schemas` (bodies), `slots` (the arithmetic), `queries` and `routes` (single limits), `slot_routes`
(taking and giving back; `slot_units` one request, `together` many), `repossessor` (expired leases).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import Service, hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    """The routes of limits and of their slots."""
    from . import routes, slot_routes  # noqa: F401 - declares the routes
    from .group import group

    return [group]


@hookimpl
def kernel_services(settings: Any) -> Iterable[type[Service]]:
    """The repossessor."""
    from .repossessor import Repossessor

    return [Repossessor]
