"""Statements: SQLAlchemy Core expressions that are compiled once per dialect, and the calls that units yield."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from .types import JSON, POSTGRESQL, SQLITE, Bool, KernelType, checked_json, json_to_text, without_nul

T = TypeVar("T")
Unit = Generator["Call | Batch", Any, T]
"""A unit of work: yields calls and batches of calls, is sent their results, returns its value."""


@cache
def _dialect(name: str) -> sa.Dialect:
    """One of SQLAlchemy's dialects. The other one is never imported, which would be a twentieth of the start."""
    if name == SQLITE:
        from sqlalchemy.dialects import sqlite

        return sqlite.dialect(paramstyle="qmark")
    from sqlalchemy.dialects import postgresql

    return postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Compiled:
    """One statement on one dialect: its text, and how to turn parameters and rows into what is needed."""

    __slots__ = ("_decode", "_defaults", "_order", "returns_rows", "text")

    def __init__(self, expression: sa.Executable, dialect: str, raw: bool) -> None:
        if isinstance(expression, sa.Insert):
            expression = expression.inline()  # no RETURNING of generated keys that nobody has asked for
        compiled: Any = expression.compile(dialect=_dialect(dialect))  # type: ignore[attr-defined]
        self.text = str(compiled)
        self._order: list[tuple[str, Callable[[Any], Any] | None]] = []
        self._defaults: dict[str, Any] = {}
        for name in compiled.positiontup or ():
            bind = compiled.binds[name]
            encode = bind.type.encoder(dialect) if isinstance(bind.type, KernelType) else None
            if dialect == SQLITE and isinstance(bind.type, sa.String | sa.types.NullType):
                encode = without_nul
            self._order.append((name, encode))
            if not bind.required:
                self._defaults[name] = bind.effective_value
        if isinstance(expression, sa.TextClause):
            head = self.text.lstrip()[:6].upper()
            self.returns_rows = head in ("SELECT", "PRAGMA", "VALUES") or " RETURNING " in self.text.upper()
            if head == "WITH" or head.startswith("WITH"):
                self.returns_rows = " RETURNING " in self.text.upper() or "INSERT" not in self.text.upper()
        else:
            self.returns_rows = bool(compiled._result_columns)  # noqa: SLF001 - SQLAlchemy has no public name for it
        self._decode: list[tuple[int, Callable[[Any], Any]]] = []
        if not raw:
            for i, column in enumerate(compiled._result_columns):  # noqa: SLF001
                decode = column.type.decoder(dialect) if isinstance(column.type, KernelType) else None
                if decode is None and dialect == SQLITE and isinstance(column.type, sa.Boolean):
                    decode = bool  # comparisons and EXISTS come back as 0 and 1
                if decode is not None:
                    self._decode.append((i, decode))

    @property
    def width(self) -> int:
        """The number of positional arguments."""
        return len(self._order)

    def arguments(self, params: Mapping[str, Any]) -> list[Any]:
        """The positional arguments for the driver; KeyError when a parameter is missing."""
        defaults = self._defaults
        out = []
        for name, encode in self._order:
            value = params[name] if name in params else defaults[name]
            out.append(value if encode is None or value is None else encode(value))
        return out

    def argument_rows(self, rows: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
        """`arguments` of each of many mappings; an object that is the one of the row before is not encoded again."""
        defaults, order = self._defaults, self._order
        seen: list[Any] = [None] * len(order)
        encoded: list[Any] = [None] * len(order)
        out = []
        for params in rows:
            row = []
            for i, (name, encode) in enumerate(order):
                value = params[name] if name in params else defaults[name]
                if encode is not None and value is not None:
                    if value is not seen[i]:
                        seen[i], encoded[i] = value, encode(value)
                    value = encoded[i]
                row.append(value)
            out.append(row)
        return out

    def rows(self, rows: Iterable[Any]) -> list[Any]:
        """The driver's rows with canonical values (unchanged for a raw statement)."""
        decode = self._decode
        if not decode:
            return rows if isinstance(rows, list) else list(rows)
        out = []
        for row in rows:
            cells = list(row)
            for i, convert in decode:
                if (value := cells[i]) is not None:
                    cells[i] = convert(value)
            out.append(tuple(cells))
        return out


class Statement:
    """An expression with named parameters (`sa.bindparam`).

    `raw=True` leaves result cells as the driver gives them, for the wire encoders. Calling a statement with its
    parameters gives a `Call` to be yielded by a unit; `many` gives one that runs once per row of parameters.
    """

    __slots__ = ("_compiled", "_expression", "raw")

    def __init__(self, expression: sa.Executable | ByDialect, *, raw: bool = False) -> None:
        self._expression = expression
        self._compiled: dict[str, Compiled] = {}
        self.raw = raw

    def compiled(self, dialect: str) -> Compiled:
        """The compiled form; compiles on first use."""
        try:
            return self._compiled[dialect]
        except KeyError:
            compiled = self._compiled[dialect] = Compiled(self.expression(dialect), dialect, self.raw)
            return compiled

    def expression(self, dialect: str) -> sa.Executable:
        """What is compiled."""
        return self._expression.of(dialect) if isinstance(self._expression, ByDialect) else self._expression

    def __call__(self, /, **params: Any) -> Call:
        return Call(self, params)

    def bind(self, params: Mapping[str, Any]) -> Call:
        """As calling, for parameters that are already in a mapping."""
        return Call(self, params)

    def alone(self, params: Mapping[str, Any]) -> Call:
        """As `bind`, for a write that is good by itself: a driver may commit it at once.

        The unit has written nothing before, and repeats or loses what comes after without harm.
        """
        return Call(self, params, alone=True)

    def many(self, rows: Sequence[Mapping[str, Any]]) -> Call:
        """Run once per mapping, in order; the result is the number of mappings."""
        return Call(self, rows, many=True)


class Call:
    """A statement with its parameters, as yielded by a unit.

    The result is a list of tuples for statements that return rows, else the number of affected rows.
    """

    __slots__ = ("alone", "many", "params", "statement")

    def __init__(self, statement: Statement, params: Any, many: bool = False, alone: bool = False) -> None:
        self.statement, self.params, self.many, self.alone = statement, params, many, alone


class Batch:
    """Several writes as one yield, each with the number of rows that it must touch (None: any).

    The result is None; a count that does not hold raises Raced. With `last` the unit promises that it has written
    nothing before and writes nothing after, so a driver may make the whole transaction of it. With `disjoint` it
    promises that no two of the writes concern the same row, so that they may be done in any order.
    """

    __slots__ = ("calls", "disjoint", "last")

    def __init__(self, calls: list[tuple[Call, int | None]], *, last: bool = False, disjoint: bool = False) -> None:
        self.calls, self.last, self.disjoint = calls, last, disjoint


class ByDialect:
    """The same question in the words of each dialect, put into them when first asked."""

    __slots__ = ("of",)

    def __init__(self, of: Callable[[str], sa.Executable]) -> None:
        """`of` gives the expression for a dialect."""
        self.of = of


def by_dialect(*, sqlite: sa.Executable | str, postgresql: sa.Executable | str) -> ByDialect:
    """Expressions, or SQL text with `:name` parameters, for each dialect."""

    def of(dialect: str) -> sa.Executable:
        words = sqlite if dialect == SQLITE else postgresql
        return sa.text(words) if isinstance(words, str) else words

    return ByDialect(of)


def inserting(make: Callable[[Callable[[sa.Table], Any]], sa.Executable]) -> ByDialect:
    """What `make` makes with each dialect's own `insert`, the one that knows of conflicts."""
    return ByDialect(lambda dialect: make(insert_of(dialect)))


def insert_of(dialect: str) -> Callable[[sa.Table], Any]:
    """The `insert` of a dialect."""
    if dialect == SQLITE:
        from sqlalchemy.dialects import sqlite

        return sqlite.insert
    from sqlalchemy.dialects import postgresql

    return postgresql.insert


def point_read(unit: Callable[..., Unit[T]]) -> Callable[..., Unit[T]]:
    """Mark a read unit that only looks up a few rows by key.

    The SQLite driver runs it on the event loop itself: such a look-up takes a few microseconds, a hop to a thread and
    back about a hundred.
    """
    unit.point_read = True  # type: ignore[attr-defined]
    return unit


class ListType(KernelType):
    """A Python list: a JSON array on SQLite, a native array on PostgreSQL."""

    def encoder(self, dialect: str) -> Callable[[Any], Any] | None:
        return (lambda v: checked_json(json_to_text(list(v)))) if dialect == SQLITE else list


class in_list(sa.sql.expression.ColumnElement[bool]):  # noqa: N801 - reads as an operator
    """`column IN (every item of the list parameter)`; one statement shape for lists of any length.

    An empty list matches nothing; with `negate=True` the test is NOT IN, and an empty list matches every
    row whose column is not NULL.
    """

    inherit_cache = False
    type = Bool()  # not sa.Boolean: SQLite would render a superfluous `= 1`

    def __init__(self, column: Any, name: str, *, negate: bool = False) -> None:
        self.column, self.negate = column, negate
        self.list = sa.bindparam(name, type_=ListType())


@compiles(in_list, SQLITE)
def _in_list_sqlite(element: in_list, compiler: Any, **kw: Any) -> str:
    column, values = compiler.process(element.column, **kw), compiler.process(element.list, **kw)
    return f"({column} {'NOT ' if element.negate else ''}IN (SELECT value FROM json_each({values})))"


@compiles(in_list, POSTGRESQL)
def _in_list_postgresql(element: in_list, compiler: Any, **kw: Any) -> str:
    column, values = compiler.process(element.column, **kw), compiler.process(element.list, **kw)
    return f"({column} <> ALL ({values}))" if element.negate else f"({column} = ANY ({values}))"


class json_value(sa.sql.expression.ColumnElement[str]):  # noqa: N801 - reads as a function
    """The member `key` of a JSON object as text (`->>`); NULL when it is absent or null."""

    inherit_cache = False
    type = sa.String()

    def __init__(self, column: Any, key: str) -> None:
        self.column, self.key = column, key


@compiles(json_value, SQLITE)
def _json_value_sqlite(element: json_value, compiler: Any, **kw: Any) -> str:
    return f"json_extract({compiler.process(element.column, **kw)}, '$.\"{element.key}\"')"


@compiles(json_value, POSTGRESQL)
def _json_value_postgresql(element: json_value, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.column, **kw)} ->> '{element.key}')"


__all__ = [
    "JSON",
    "Batch",
    "ByDialect",
    "Call",
    "Compiled",
    "Statement",
    "Unit",
    "by_dialect",
    "in_list",
    "insert_of",
    "inserting",
    "json_value",
    "point_read",
]
