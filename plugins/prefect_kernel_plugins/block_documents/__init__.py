"""Block documents: blocks that were saved.

Parts: `schemas` (bodies), `filters`, `tree` (documents with those nested in them, decrypted), `queries` (making,
changing, deleting), `routes`. The tables, and what encrypts and hides secrets, are in `blocks`.
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
