"""Block capabilities: what the blocks that there are can do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from prefect_kernel import hookimpl, web
from prefect_kernel.sql import Statement, Unit

from ..blocks.tables import block_schema

group = web.Group("Block capabilities", prefix="/block_capabilities")

_ALL = Statement(sa.select(block_schema.c.capabilities).distinct())


def available() -> Unit[list[str]]:
    """The capabilities of all schemas."""
    rows = yield _ALL()
    return sorted({capability for (capabilities,) in rows for capability in capabilities})


@group.get("/", permission="read", response=list[str])
async def read_available_block_capabilities(request: web.Request) -> web.Reply:
    """The capabilities that any block schema has."""
    return web.json(await request.kernel.storage.read(available))


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    return [group]
