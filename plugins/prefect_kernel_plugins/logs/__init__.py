"""Logs of runs.

Parts: `tables`, `routes` (in), `filters` and `reads` (out).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web

from . import routes
from .group import group

__all__ = ["group", "routes"]


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    return [group]
