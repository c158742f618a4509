"""Telling SQLite what it cannot know: it has no statistics of what is in the columns."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from prefect_kernel.sql.types import SQLITE


class unindexed(sa.sql.expression.ColumnElement[Any]):  # noqa: N801 - reads as a function
    """A column by whose index SQLite does not look for rows; it compares it in rows that it has found otherwise."""

    inherit_cache = False

    def __init__(self, column: Any) -> None:
        self.column, self.type = column, column.type


@compiles(unindexed)
def _plain(element: unindexed, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.column, **kw))


@compiles(unindexed, SQLITE)
def _unindexed(element: unindexed, compiler: Any, **kw: Any) -> str:
    return f"+{compiler.process(element.column, **kw)}"
