"""Artifacts: what runs show to people, every one of them and the latest of each key.

Parts: `tables`, `schemas` (bodies), `wire` (answers), `collecting` (the latest of a key, and its events), `queries`
(units), `routes` (single artifacts), `filters` and `reads` (lists).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    """The routes of artifacts."""
    from . import reads, routes  # noqa: F401 - declares the routes
    from .group import group

    return [group]
