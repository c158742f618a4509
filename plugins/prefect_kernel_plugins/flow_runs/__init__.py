"""Flow runs.

Parts: `tables`, `schemas` (bodies), `wire` (answers), `filters` (POST filters), `create`, `transitions` (proposing
states), `queries` (single runs), `inputs`, `routes` (single runs) and `reads` (lists).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web

from . import inputs, routes
from .group import group

__all__ = ["group", "inputs", "routes"]


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    return [group]
