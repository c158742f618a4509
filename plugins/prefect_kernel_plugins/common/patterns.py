"""LIKE against a list of patterns in one parameter, so that lists of any length have one statement.

In a pattern `%` and `_` are wildcards; a backslash makes the next character plain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from prefect_kernel.sql.types import POSTGRESQL, SQLITE, Bool, KernelType, checked_json, json_to_text

Mode = Literal["any", "all", "none", "any_not"]
"""What must hold of the patterns: one matches, each does, none does, or one does not match."""

_SPECIAL = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


def plain(text: str) -> str:
    """A pattern that matches just this text."""
    return text.translate(_SPECIAL)


def containing(text: str) -> str:
    """A pattern for whatever has this text in it."""
    return f"%{plain(text)}%"


class _Patterns(KernelType):
    """A list of texts."""

    def encoder(self, dialect: str) -> Callable[[Any], Any] | None:
        return (lambda v: checked_json(json_to_text(v))) if dialect == SQLITE else list


class like(sa.sql.expression.ColumnElement[bool]):  # noqa: N801 - reads as an operator
    """`column LIKE` the patterns of the list parameter `name`.

    With `escape=False` SQLite knows no escape character; PostgreSQL always has the backslash. An empty list is as
    `any` and `all` of nothing in Python.
    """

    inherit_cache = False
    type = Bool()

    def __init__(self, column: Any, name: str, mode: Mode = "any", *, escape: bool = True) -> None:
        self.column, self.mode, self.escape = column, mode, escape
        self.patterns = sa.bindparam(name, type_=_Patterns())


_SQLITE: dict[Mode, tuple[str, str]] = {
    "any": ("EXISTS", "LIKE"),
    "all": ("NOT EXISTS", "NOT LIKE"),
    "none": ("NOT EXISTS", "LIKE"),
    "any_not": ("EXISTS", "NOT LIKE"),
}
_POSTGRESQL: dict[Mode, str] = {
    "any": "LIKE ANY",
    "all": "LIKE ALL",
    "none": "NOT LIKE ALL",
    "any_not": "NOT LIKE ANY",
}


@compiles(like, SQLITE)
def _like_sqlite(element: like, compiler: Any, **kw: Any) -> str:
    column, patterns = compiler.process(element.column, **kw), compiler.process(element.patterns, **kw)
    exists, operator = _SQLITE[element.mode]
    test = f"{column} {operator} pattern.value" + (" ESCAPE '\\'" if element.escape else "")
    return f"({exists} (SELECT 1 FROM json_each({patterns}) AS pattern WHERE {test}))"


@compiles(like, POSTGRESQL)
def _like_postgresql(element: like, compiler: Any, **kw: Any) -> str:
    column, patterns = compiler.process(element.column, **kw), compiler.process(element.patterns, **kw)
    return f"({column} {_POSTGRESQL[element.mode]} ({patterns} ::text[]))"
