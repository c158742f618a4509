"""Block schemas: the fields that blocks of a type have.

Parts: `schemas` (bodies), `filters`, `tree` (schemas with those nested in them), `registering` (making one with those
nested in it), `routes`. The tables are in `blocks`.
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
