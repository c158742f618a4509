"""Flows: the functions that runs are made of.

Parts: `tables`, `schemas` (bodies), `wire` (answers), `filters` (POST filters), `queries` (units), `routes` (single
flows) and `reads` (lists).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import bulk, reads, routes  # noqa: F401 - declares the routes
    from .group import group

    return [group]
