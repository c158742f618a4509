"""Wire encoders: raw database rows to JSON, without a model per row.

A `Wire` is made at import from a list of members in the order of the wire; each takes the next column(s) of the row.
For each dialect a function is generated once that builds the dict for a row, so a row costs a few microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from .sql.types import SQLITE, interval_from_text, json_from_text
from .web.reply import OPTIONS

Row = Sequence[Any]


def seconds(value: timedelta) -> float:
    """A duration as pydantic writes it: the sum of its parts, which may differ from total_seconds() in the last bit."""
    return value.days * 86400.0 + value.seconds + value.microseconds / 1_000_000


def json_fragment(text: str | None) -> Any:
    """Stored JSON, passed through; parsed only where it has escapes, which the wire does not use for letters."""
    if text is None:
        return None
    if "\\" not in text:
        return orjson.Fragment(text)
    value = json_from_text(text)
    try:
        orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return orjson.Fragment(text)
    return value


def _interval_sqlite(text: Any) -> float:
    return 0.0 if text in _ZERO else seconds(interval_from_text(text))


_ZERO = ("1970-01-01 00:00:00.000000", "0", 0)


# The source of a converter, given the source of a cell that is not NULL; None passes the cell through.
_SQLITE_SOURCES: dict[str, str | None] = {
    "plain": None,
    "time": "({0}[:10] + 'T' + {0}[11:] + 'Z' if {0}[19:] != '.000000' else {0}[:10] + 'T' + {0}[11:19] + 'Z')",
    "json": "_json({0})",
    "interval": "_interval_sqlite({0})",
    "bool": "({0} != 0)",
}
_POSTGRESQL_SOURCES: dict[str, str | None] = {
    "plain": None,
    "time": None,
    "json": "_json({0})",
    "interval": "_seconds({0})",
    "bool": None,
}
_NAMES: dict[str, Any] = {"_json": json_fragment, "_interval_sqlite": _interval_sqlite, "_seconds": seconds}


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


class Derived:
    """A member made from the raw cells of other columns, named by their keys, and from the time of the answer.

    The functions (one per dialect, or one for both) are called with those cells and an aware UTC datetime.
    """

    width = 0

    def __init__(
        self,
        key: str,
        columns: Sequence[str],
        sqlite: Callable[..., Any],
        postgresql: Callable[..., Any] | None = None,
    ) -> None:
        self.key, self.columns = key, tuple(columns)
        self.sqlite, self.postgresql = sqlite, postgresql or sqlite


class Nested:
    """A member that is an object of its own, or null when its first column is NULL (an outer join found nothing)."""

    def __init__(self, key: str, wire: Wire) -> None:
        self.key, self.wire = key, wire
        self.width = wire.width


class Skip:
    """Columns that are selected for `Computed` and `Derived` members only."""

    def __init__(self, width: int = 1, key: str = "") -> None:
        self.width, self.key = width, key


Member = Field | Computed | Derived | Nested | Skip


class Wire:
    """Encodes rows of one resource. `now` is what rolling estimates are made with, by default the present."""

    def __init__(self, members: Iterable[Member]) -> None:
        self.members = tuple(members)
        self.width = sum(m.width for m in self.members)
        self._functions: dict[str, Callable[[Row, datetime], dict[str, Any]]] = {}

    def _source(self, dialect: str, at: int, names: dict[str, Any]) -> str:
        sources = _SQLITE_SOURCES if dialect == SQLITE else _POSTGRESQL_SOURCES
        positions: dict[str, int] = {}
        position = at
        for member in self.members:
            if member.width:
                positions[member.key] = position
            position += member.width

        def name(value: Any) -> str:
            names[f"c{len(names)}"] = value
            return f"c{len(names) - 1}"

        parts = []
        for member in self.members:
            if isinstance(member, Field):
                if callable(member.kind):
                    parts.append(f"{member.key!r}: {name(member.kind)}(r[{at}])")
                elif (source := sources[member.kind]) is None:
                    parts.append(f"{member.key!r}: r[{at}]")
                else:
                    parts.append(f"{member.key!r}: None if (v := r[{at}]) is None else {source.format('v')}")
            elif isinstance(member, Computed):
                parts.append(f"{member.key!r}: {name(member.function)}(r, {dialect!r})")
            elif isinstance(member, Derived):
                function = member.sqlite if dialect == SQLITE else member.postgresql
                cells = ", ".join(f"r[{positions[key]}]" for key in member.columns)
                parts.append(f"{member.key!r}: {name(function)}({cells}, now)")
            elif isinstance(member, Nested):
                inner = member.wire._source(dialect, at, names)
                parts.append(f"{member.key!r}: None if r[{at}] is None else {inner}")
            at += member.width
        return "{" + ", ".join(parts) + "}"

    def function(self, dialect: str) -> Callable[[Row, datetime], dict[str, Any]]:
        """The function from a raw row and the present to an encodable dict."""
        function = self._functions.get(dialect)
        if function is None:
            names = dict(_NAMES)
            source = self._source(dialect, 0, names)
            function = eval(f"lambda r, now: {source}", names)  # noqa: S307 - our own text, as namedtuple does
            self._functions[dialect] = function
        return function

    def object(self, dialect: str, row: Row, now: datetime | None = None) -> dict[str, Any]:
        """One row as an encodable dict."""
        return self.function(dialect)(row, now or datetime.now(UTC))

    def one(self, dialect: str, row: Row, now: datetime | None = None) -> bytes:
        """One row as JSON."""
        return orjson.dumps(self.function(dialect)(row, now or datetime.now(UTC)), option=OPTIONS)

    def many(self, dialect: str, rows: Iterable[Row], now: datetime | None = None) -> bytes:
        """Rows as a JSON array."""
        return orjson.dumps(self.objects(dialect, rows, now), option=OPTIONS)

    def objects(self, dialect: str, rows: Iterable[Row], now: datetime | None = None) -> list[dict[str, Any]]:
        """Rows as encodable dicts."""
        function, now = self.function(dialect), now or datetime.now(UTC)
        return [function(row, now) for row in rows]
