"""Work queues by their own ids, as Prefect 2's agents use them, whatever their pool.

Parts: `routes`, `reads` (lists, and how many slots old queues with a filter have taken), `runs` (what an agent gets).
The rows are those of the slice of work pools.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    """The routes of queues."""
    from . import routes  # noqa: F401 - declares the routes
    from .group import group

    return [group]
