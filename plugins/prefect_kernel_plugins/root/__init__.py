"""What the server says about itself: health, readiness, versions, settings, default result storage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web

from .routes import group

__all__ = ["group"]


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    return [group]
