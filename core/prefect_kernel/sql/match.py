"""Conditions on texts and JSON arrays, and JSON as text, which differ between the dialects; lists are one parameter."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from .statement import ListType
from .types import POSTGRESQL, SQLITE, Bool


class ilike(sa.ColumnElement[bool]):  # noqa: N801 - reads as an operator
    """The column matches a LIKE pattern, whatever the case of letters (on SQLite: of ASCII letters)."""

    inherit_cache = False
    type = Bool()

    def __init__(self, column: sa.ColumnElement[Any], pattern: sa.BindParameter[Any]) -> None:
        self.column, self.pattern = column, pattern


@compiles(ilike, SQLITE)
def _ilike_sqlite(element: ilike, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.column, **kw)} LIKE {compiler.process(element.pattern, **kw)})"


@compiles(ilike, POSTGRESQL)
def _ilike_postgresql(element: ilike, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.column, **kw)} ILIKE {compiler.process(element.pattern, **kw)})"


class like_any(sa.ColumnElement[bool]):  # noqa: N801 - reads as an operator
    """The column matches one of a list of LIKE patterns, whatever the case of letters."""

    inherit_cache = False
    type = Bool()

    def __init__(self, column: sa.ColumnElement[Any], bind: str) -> None:
        self.column, self.list = column, sa.bindparam(bind, type_=ListType())


@compiles(like_any, SQLITE)
def _like_any_sqlite(element: like_any, compiler: Any, **kw: Any) -> str:
    column, patterns = compiler.process(element.column, **kw), compiler.process(element.list, **kw)
    return f"EXISTS (SELECT 1 FROM json_each({patterns}) WHERE {column} LIKE value)"


@compiles(like_any, POSTGRESQL)
def _like_any_postgresql(element: like_any, compiler: Any, **kw: Any) -> str:
    column, patterns = compiler.process(element.column, **kw), compiler.process(element.list, **kw)
    return f"({column} ILIKE ANY ({patterns}))"


class array_test(sa.ColumnElement[bool]):  # noqa: N801 - reads as an operator
    """A JSON array of texts has `all` or `any` of a list."""

    inherit_cache = False
    type = Bool()

    def __init__(self, column: sa.ColumnElement[Any], bind: str, how: str) -> None:
        self.column, self.how, self.list = column, how, sa.bindparam(bind, type_=ListType())


@compiles(array_test, SQLITE)
def _array_test_sqlite(element: array_test, compiler: Any, **kw: Any) -> str:
    column, wanted = compiler.process(element.column, **kw), compiler.process(element.list, **kw)
    found = f"FROM json_each({column}) AS had WHERE had.value IN (SELECT value FROM json_each({wanted}))"
    if element.how == "any":
        return f"EXISTS (SELECT 1 {found})"
    number = f"json_array_length({compiler.process(element.list, **kw)})"  # `take` has left out duplicates
    return f"((SELECT count(DISTINCT had.value) {found}) = {number})"


@compiles(array_test, POSTGRESQL)
def _array_test_postgresql(element: array_test, compiler: Any, **kw: Any) -> str:
    column, wanted = compiler.process(element.column, **kw), compiler.process(element.list, **kw)
    return f"({column} {'?&' if element.how == 'all' else '?|'} CAST({wanted} AS TEXT[]))"


class empty_array(sa.ColumnElement[bool]):  # noqa: N801 - reads as an operator
    """A JSON column is the empty array."""

    inherit_cache = False
    type = Bool()

    def __init__(self, column: sa.ColumnElement[Any]) -> None:
        self.column = column


@compiles(empty_array, SQLITE)
def _empty_array_sqlite(element: empty_array, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.column, **kw)} = '[]')"


@compiles(empty_array, POSTGRESQL)
def _empty_array_postgresql(element: empty_array, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.column, **kw)} = CAST('[]' AS JSONB))"


__all__ = ["array_test", "empty_array", "ilike", "like_any"]


class document_text(sa.sql.functions.FunctionElement[str]):  # noqa: N801 - reads as an operator
    """A JSON column as text. What is a bare number keeps all of its digits: SQLite casts it to fifteen."""

    inherit_cache = True
    type = sa.Text()


@compiles(document_text, SQLITE)
def _document_text_sqlite(element: document_text, compiler: Any, **kw: Any) -> str:
    column = compiler.process(element.clauses, **kw)
    return f"CASE typeof({column}) WHEN 'real' THEN printf('%!.17g', {column}) ELSE CAST({column} AS TEXT) END"


@compiles(document_text, POSTGRESQL)
def _document_text_postgresql(element: document_text, compiler: Any, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS TEXT)"
