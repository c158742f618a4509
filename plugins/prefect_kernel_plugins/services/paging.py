"""Walking over what needs to be looked at, page by page, so that no round holds a transaction long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from prefect_kernel.sql import Statement, Unit

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

NO_ID = "00000000-0000-0000-0000-000000000000"
"""Sorts before every id."""


def _rows(statement: Statement, params: dict[str, Any]) -> Unit[Any]:
    return (yield statement.bind(params))


async def read(kernel: Kernel, statement: Statement, **params: Any) -> list[Any]:
    """The rows of a statement."""
    rows: list[Any] = await kernel.storage.read(_rows, statement, params)
    return rows


async def write(kernel: Kernel, statement: Statement, **params: Any) -> int:
    """Run one statement that changes rows, as a transaction; how many it has changed."""
    changed: int = await kernel.storage.write(_rows, statement, params)
    return changed


async def pages(kernel: Kernel, statement: Statement, limit: int, **params: Any) -> AsyncIterator[list[Any]]:
    """Pages of a statement with `after` and `count`, whose first column is the id by which it sorts."""
    after = NO_ID
    while True:
        rows = await read(kernel, statement, after=after, count=limit, **params)
        if rows:
            yield rows
        if len(rows) < limit:
            return
        after = rows[-1][0]
