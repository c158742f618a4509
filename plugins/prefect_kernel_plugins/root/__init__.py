"""What the server says about itself: health, readiness, versions, settings, default result storage.

Parts: `routes` and `storage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    """The routes; what every client asks first."""
    from . import routes, storage  # noqa: F401 - declares the routes
    from .group import group

    return [group]
