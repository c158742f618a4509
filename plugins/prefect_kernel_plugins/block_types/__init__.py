"""Block types: the kinds of blocks.

Parts: `wire` (answers), `filters`, `queries` (units), `routes`, and `documents` (the documents of a type). The tables
are in `blocks`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import documents, routes  # noqa: F401 - declares the routes
    from .group import group

    return [group]
