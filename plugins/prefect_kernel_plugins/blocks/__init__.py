"""Blocks: what their types, schemas and documents have in common.

Parts: `tables`, `checksums` (of schemas, as clients compute them), `encryption` (of documents), `obfuscation` (of
secrets), `default_storage` (what happens to the default result storage when its block goes), `builtin` (the block types
that a start registers, from `builtin.json.gz`, which `conformance/record_blocks.py` writes).

The routes are in `block_types`, `block_schemas`, `block_documents` and `block_capabilities`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from prefect_kernel import hookimpl

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel


@asynccontextmanager
async def registered(kernel: Kernel) -> AsyncIterator[None]:
    """Register the built-in block types before the first request, unless the settings say not to."""
    if kernel.settings.server.register_blocks_on_start:
        from . import builtin

        await builtin.register(kernel)
    yield


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    return [registered]
