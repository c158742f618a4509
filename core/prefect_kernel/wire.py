"""Wire encoders: raw database rows to JSON, without a model per row.

A `Wire` is made at import from a list of fields in the order of the wire; each field takes the next column(s) of the
row. For each dialect a function is generated once that builds the dict for a row, so a row costs a few microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import orjson

from .sql.types import SQLITE, interval_from_text
from .web.reply import OPTIONS

Row = Sequence[Any]


def _time_sqlite(text: str | None) -> str | None:
    """Stored text to RFC 3339 in UTC; the fraction is left out when it is zero, as pydantic does."""
    if text is None:
        return None
    if text[19:] == ".000000":
        return f"{text[:10]}T{text[11:19]}Z"
    return f"{text[:10]}T{text[11:]}Z"


def _json(text: Any) -> Any:
    return None if text is None else orjson.Fragment(text)


def _interval_sqlite(text: Any) -> float | None:
    return None if text is None else interval_from_text(text).total_seconds()


def _interval_pg(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()


def _bool_sqlite(value: int | None) -> bool | None:
    return None if value is None else value != 0


_CONVERTERS: dict[str, tuple[Callable[[Any], Any] | None, Callable[[Any], Any] | None]] = {
    # kind: (SQLite, PostgreSQL); None passes the cell through
    "plain": (None, None),
    "time": (_time_sqlite, None),
    "json": (_json, _json),
    "interval": (_interval_sqlite, _interval_pg),
    "bool": (_bool_sqlite, None),
}


class Field:
    """One member of the object: `kind` is plain, time, json, interval, bool, or a function of the raw cell."""

    width = 1

    def __init__(self, key: str, kind: str | Callable[[Any], Any] = "plain") -> None:
        self.key, self.kind = key, kind


class Computed:
    """A member made from the whole row by `function(row, dialect)`; takes no column."""

    width = 0

    def __init__(self, key: str, function: Callable[[Row, str], Any]) -> None:
        self.key, self.function = key, function


class Nested:
    """A member that is an object of its own, or null when its first column is NULL (an outer join found nothing)."""

    def __init__(self, key: str, wire: Wire) -> None:
        self.key, self.wire = key, wire
        self.width = wire.width


class Skip:
    """Columns that are selected for `Computed` members only."""

    key = ""

    def __init__(self, width: int = 1) -> None:
        self.width = width


Member = Field | Computed | Nested | Skip


class Wire:
    """Encodes rows of one resource."""

    def __init__(self, members: Iterable[Member]) -> None:
        self.members = tuple(members)
        self.width = sum(m.width for m in self.members)
        self._functions: dict[str, Callable[[Row], dict[str, Any]]] = {}

    def _source(self, dialect: str, at: int, names: dict[str, Any]) -> str:
        parts = []
        for member in self.members:
            if isinstance(member, Field):
                convert = member.kind if callable(member.kind) else _CONVERTERS[member.kind][dialect != SQLITE]
                if convert is None:
                    parts.append(f"{member.key!r}: r[{at}]")
                else:
                    name = f"c{len(names)}"
                    names[name] = convert
                    parts.append(f"{member.key!r}: {name}(r[{at}])")
            elif isinstance(member, Computed):
                name = f"c{len(names)}"
                names[name] = member.function
                parts.append(f"{member.key!r}: {name}(r, {dialect!r})")
            elif isinstance(member, Nested):
                inner = member.wire._source(dialect, at, names)
                parts.append(f"{member.key!r}: None if r[{at}] is None else {inner}")
            at += member.width
        return "{" + ", ".join(parts) + "}"

    def function(self, dialect: str) -> Callable[[Row], dict[str, Any]]:
        """The function from a raw row to an encodable dict."""
        function = self._functions.get(dialect)
        if function is None:
            names: dict[str, Any] = {}
            source = self._source(dialect, 0, names)
            function = eval(f"lambda r: {source}", names)  # noqa: S307 - our own text, as namedtuple does
            self._functions[dialect] = function
        return function

    def object(self, dialect: str, row: Row) -> dict[str, Any]:
        """One row as an encodable dict."""
        return self.function(dialect)(row)

    def one(self, dialect: str, row: Row) -> bytes:
        """One row as JSON."""
        return orjson.dumps(self.function(dialect)(row), option=OPTIONS)

    def many(self, dialect: str, rows: Iterable[Row]) -> bytes:
        """Rows as a JSON array."""
        function = self.function(dialect)
        return orjson.dumps([function(row) for row in rows], option=OPTIONS)

    def objects(self, dialect: str, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """Rows as encodable dicts."""
        function = self.function(dialect)
        return [function(row) for row in rows]
