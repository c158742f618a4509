"""Walking over what needs to be looked at, page by page, so that no round holds a transaction long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from prefect_kernel.sql import Statement, Unit
from prefect_kernel.sql.types import SQLITE

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

NO_ID = "00000000-0000-0000-0000-000000000000"
"""Sorts before every id."""


class by_state_type(sa.sql.expression.ColumnElement[Any]):  # noqa: N801 - reads as a function
    """A time of a run that SQLite compares only after it has found the run, by the index on states.

    Few runs are in such a state. SQLite would rather use the index on times, by which nearly all are old.
    """

    inherit_cache = False

    def __init__(self, column: Any) -> None:
        self.column, self.type = column, column.type


@compiles(by_state_type)
def _plain(element: by_state_type, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.column, **kw))


@compiles(by_state_type, SQLITE)
def _unindexed(element: by_state_type, compiler: Any, **kw: Any) -> str:
    return f"+{compiler.process(element.column, **kw)}"


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
