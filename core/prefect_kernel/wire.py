"""Wire encoders: raw database rows to JSON text, without a model per row.

A `Wire` is made at import from a list of members in the order of the wire; each takes the next column(s) of the row.
For each dialect a function is generated once that writes a row's JSON, so a row of forty members costs a few
microseconds: most cells are put between quotes as they are, stored JSON is passed through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring
from typing import Any

import orjson

from .sql.types import SQLITE, interval_from_text, json_from_text
from .web.reply import dumps

Row = Sequence[Any]

quote: Callable[[str], str] = encode_basestring
"""A string as JSON text."""


def json_text(value: Any) -> str:
    """Any value as JSON text."""
    if isinstance(value, str):
        return quote(value)
    return dumps(value).decode()


def stored_json(text: str | None) -> str:
    """Stored JSON, passed through; written anew only where it has escapes, which the wire does not use for letters."""
    if text is None:
        return "null"
    if "\\" not in text:
        return text
    try:
        return orjson.dumps(json_from_text(text)).decode()
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return text


def number(value: float) -> str:
    """A float as orjson writes it (Python writes exponents otherwise)."""
    return repr(value) if 1e-4 <= value < 1e16 or value == 0 else orjson.dumps(value).decode()


ZERO_INTERVALS = ("1970-01-01 00:00:00.000000", "0", 0)
"""How a duration of nothing is stored on SQLite."""


def _interval_sqlite(text: Any) -> str:
    return "0.0" if text in ZERO_INTERVALS else number(interval_from_text(text).total_seconds())


def _interval_postgresql(value: timedelta) -> str:
    return number(value.total_seconds())


def _time_postgresql(value: datetime) -> str:
    return orjson.dumps(value, None, orjson.OPT_UTC_Z).decode()  # three times as fast as `isoformat`


# The source of the JSON text of a cell named `{0}` that is not NULL.
_SQLITE_SOURCES = {
    "plain": "_json_text({0})",
    "text": "_quote({0})",
    "word": """f'"{{{0}}}"'""",
    "int": "str({0})",
    # A zero fraction is left out, as pydantic does.
    "time": """f'"{{{0}.replace(" ", "T", 1)}}Z"' if '.000000' not in {0} else f'"{{{0}[:10]}}T{{{0}[11:19]}}Z"'""",
    "json": "{0} if '\\\\' not in {0} else _stored_json({0})",
    "interval": "_interval_sqlite({0})",
    "bool": "'true' if {0} else 'false'",
}
_POSTGRESQL_SOURCES = {
    **_SQLITE_SOURCES,
    "time": "_time_postgresql({0})",
    "interval": "_interval_postgresql({0})",
}
_NAMES: dict[str, Any] = {
    "_json_text": json_text,
    "_quote": quote,
    "_stored_json": stored_json,
    "_interval_sqlite": _interval_sqlite,
    "_interval_postgresql": _interval_postgresql,
    "_time_postgresql": _time_postgresql,
}


class Field:
    """One member of the object.

    `kind` is a function from the raw cell (also of NULL) to JSON text, or one of: text; word (text that never needs
    escapes: ids, labels of enums); int; time; json; interval; bool; plain (anything). NULL becomes null.
    """

    width = 1

    def __init__(self, key: str, kind: str | Callable[[Any], str] = "plain") -> None:
        self.key, self.kind = key, kind


class Computed:
    """A member made from the whole row by `function(row, dialect)`, which gives an encodable value."""

    width = 0

    def __init__(self, key: str, function: Callable[[Row, str], Any]) -> None:
        self.key, self.function = key, function


class Derived:
    """A member made from the raw cells of other columns, named by their keys, and from the time of the answer.

    The functions (one per dialect, or one for both) are called with those cells and an aware UTC datetime, and give
    JSON text. `=key` stands for the JSON text of an earlier member in place of its cell.
    """

    width = 0

    def __init__(
        self,
        key: str,
        columns: Sequence[str],
        sqlite: Callable[..., str],
        postgresql: Callable[..., str] | None = None,
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
Encoder = Callable[[Row, datetime], str]


class _Writer:
    """Generates the source of one encoder: cells are named `r0`, `r1`, …, texts of members `v0`, `v1`, …."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.sources = _SQLITE_SOURCES if dialect == SQLITE else _POSTGRESQL_SOURCES
        self.names = dict(_NAMES)
        self.lines: list[str] = []
        self._texts = 0

    def name(self, value: Any) -> str:
        """A name by which the source can use a value."""
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def text(self) -> str:
        """A fresh name for the JSON text of a member."""
        self._texts += 1
        return f"v{self._texts}"

    def write(self, wire: Wire, at: int, indent: str) -> str:
        """Add the lines that make the members' texts; the f-string that joins them."""
        known: dict[str, str] = {}
        position = at
        for member in wire.members:
            known.setdefault(member.key, f"r{position}")
            position += member.width
        parts = []
        for member in wire.members:
            if not isinstance(member, Skip):
                text = known[f"={member.key}"] = self._member(member, at, known, indent)
                parts.append(f'"{member.key}":{{{text}}}')
            at += member.width
        return "f'{{" + ",".join(parts) + "}}'"

    def _member(self, member: Member, at: int, known: dict[str, str], indent: str) -> str:
        text, cell = self.text(), f"r{at}"
        if isinstance(member, Nested):
            self.lines.append(f"{indent}if {cell} is None: {text} = 'null'")
            self.lines.append(f"{indent}else:")
            inner = self.write(member.wire, at, indent + " ")
            self.lines.append(f"{indent} {text} = {inner}")
            return text
        if isinstance(member, Field) and isinstance(member.kind, str):
            source = f"'null' if {cell} is None else {self.sources[member.kind].format(cell)}"
        elif isinstance(member, Field):
            source = f"{self.name(member.kind)}({cell})"
        elif isinstance(member, Derived):
            function = member.sqlite if self.dialect == SQLITE else member.postgresql
            cells = ", ".join(known[key] for key in member.columns)
            source = f"{self.name(function)}({cells}, now)"
        else:
            assert isinstance(member, Computed)
            source = f"_json_text({self.name(member.function)}(row, {self.dialect!r}))"
        self.lines.append(f"{indent}{text} = {source}")
        return text


class Wire:
    """Encodes rows of one resource. `now` is what rolling estimates are made with, by default the present."""

    def __init__(self, members: Iterable[Member]) -> None:
        self.members = tuple(members)
        self.width: int = sum(m.width for m in self.members)
        self._encoders: dict[str, Encoder] = {}

    def encoder(self, dialect: str) -> Encoder:
        """The function from a raw row and the present to JSON text."""
        encoder = self._encoders.get(dialect)
        if encoder is None:
            writer = _Writer(dialect)
            result = writer.write(self, 0, " ")
            cells = ", ".join(f"r{i}" for i in range(self.width))
            body = "\n".join([f" {cells}, = row", *writer.lines, f" return {result}"])
            exec(f"def encode(row, now):\n{body}", writer.names)  # noqa: S102 - our own text, as namedtuple does
            encoder = self._encoders[dialect] = writer.names["encode"]
        return encoder

    def one(self, dialect: str, row: Row, now: datetime | None = None) -> bytes:
        """One row as JSON."""
        return self.encoder(dialect)(row, now or datetime.now(UTC)).encode()

    def many(self, dialect: str, rows: Iterable[Row], now: datetime | None = None) -> bytes:
        """Rows as a JSON array."""
        encode, now = self.encoder(dialect), now or datetime.now(UTC)
        return f"[{','.join([encode(row, now) for row in rows])}]".encode()

    def object(self, dialect: str, row: Row, now: datetime | None = None) -> dict[str, Any]:
        """One row as parsed JSON, for those who look into it."""
        found: dict[str, Any] = orjson.loads(self.one(dialect, row, now))
        return found
