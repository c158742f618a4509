"""An alternative ASGI server: uvicorn (`pip install prefect-kernel[fast]`, `--server uvicorn`)."""

from prefect_kernel_plugins.server_uvicorn.runner import UvicornRunner

__all__ = ["UvicornRunner"]
