"""Saved searches: filters that the UI keeps by name.

Parts: `tables`, `schemas` (bodies), `queries` (units) and `routes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from .routes import group

    return [group]
