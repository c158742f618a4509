"""Variables: named values that flows look up.

Parts: `tables`, `schemas` (bodies), `wire` (answers), `filters`, `queries` (units), `routes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import routes  # noqa: F401 - declares the routes
    from .group import group

    return [group]
