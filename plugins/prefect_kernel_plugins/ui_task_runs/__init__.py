"""Task runs as the UI asks for them: counts by state and over time, and single ones with the name of their flow run.

Parts: `routes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    """The routes."""
    from .routes import group

    return [group]
