"""Hypercorn, for who prefers it to the default server (`--server hypercorn`)."""

from __future__ import annotations

from collections.abc import Iterable

from prefect_kernel import hookimpl
from prefect_kernel.ports.server import ServerRunner
from prefect_kernel_plugins.server_hypercorn.runner import HypercornRunner

__all__ = ["HypercornRunner", "kernel_servers"]


@hookimpl
def kernel_servers() -> Iterable[ServerRunner]:
    """The one that this plugin brings."""
    return [HypercornRunner()]
