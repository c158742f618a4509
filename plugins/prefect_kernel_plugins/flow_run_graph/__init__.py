"""Graphs of flow runs, as the UI draws them.

Parts: `graph` (the second version: nodes, edges, artifacts, states) and `dependencies` (the first).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    """The routes of both versions."""
    from . import dependencies, graph  # noqa: F401 - declares the routes
    from .group import group

    return [group]
