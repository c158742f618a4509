"""The default ASGI server: Hypercorn on uvloop."""

from prefect_kernel_plugins.server_hypercorn.runner import HypercornRunner

__all__ = ["HypercornRunner"]
