"""The default ASGI server: Hypercorn on uvloop."""

from __future__ import annotations

from collections.abc import Iterable

from prefect_kernel import hookimpl
from prefect_kernel.ports.server import ServerRunner

from .runner import HypercornRunner

__all__ = ["HypercornRunner"]


@hookimpl
def kernel_servers() -> Iterable[ServerRunner]:
    return [HypercornRunner()]
