"""An alternative ASGI server: uvicorn (`pip install prefect-kernel[fast]`, `--server uvicorn`)."""

from __future__ import annotations

from collections.abc import Iterable

from prefect_kernel import hookimpl
from prefect_kernel.ports.server import ServerRunner
from prefect_kernel_plugins.server_uvicorn.runner import UvicornRunner

__all__ = ["UvicornRunner", "kernel_servers"]


@hookimpl
def kernel_servers() -> Iterable[ServerRunner]:
    """The one that this plugin brings."""
    return [UvicornRunner()]
