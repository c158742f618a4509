"""Logs of runs.

Parts: `tables`, `routes` (in), `filters` and `reads` (out), `stream` (out as they come in).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import reads, routes, stream  # noqa: F401 - they declare the routes
    from .group import group

    return [group]
