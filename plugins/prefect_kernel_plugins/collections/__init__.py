"""Views of Prefect's collections: what blocks, flows and workers they have.

Served from files beside this module, which `conformance/record_blocks.py` takes from the reference; nothing is fetched.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect_kernel import errors, hookimpl, web

HERE = Path(__file__).parent
KNOWN = ("aggregate-block-metadata", "aggregate-flow-metadata", "aggregate-worker-metadata", "demo-flows")
group = web.Group("Collections", prefix="/collections")


@group.get("/views/{view}", permission="read", response=dict[str, Any])
async def read_view_content(request: web.Request) -> web.Reply:
    """A view as the reference ships it."""
    view = request.path["view"]
    if view not in KNOWN:
        raise errors.NotFound(f"View {view} not found in registry")
    file = HERE / f"{view}.json.gz"
    if not file.exists():  # there are views that the reference has from the network alone
        raise errors.NotFound(f"Requested content missing for view {view}")
    return web.raw(gzip.decompress(file.read_bytes()))


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    return [group]
