"""Concurrency limits by tag, the first version of the API: a view of the global limits named `tag:…`.

Rows of the old table, which only databases that were never migrated have, are still read, changed and deleted.

Parts: `tables`, `schemas` (bodies), `old` (rows of the old table), `queries` (units), `routes` (single limits) and
`slot_routes` (slots for task runs).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    """The routes of limits by tag."""
    from . import routes, slot_routes  # noqa: F401 - declares the routes
    from .group import group

    return [group]
