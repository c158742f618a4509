"""The default ASGI server: the kernel's own, over the HTTP/1.1 parser of httptools."""

from __future__ import annotations

from collections.abc import Iterable

from prefect_kernel import hookimpl
from prefect_kernel.ports.server import ServerRunner
from prefect_kernel_plugins.server_native.runner import NativeRunner

__all__ = ["NativeRunner", "kernel_servers"]


@hookimpl
def kernel_servers() -> Iterable[ServerRunner]:
    """The one that this plugin brings."""
    return [NativeRunner()]
