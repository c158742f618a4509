"""Column types: how canonical Python values are stored on each dialect.

Canonical values: ids are `str`, timestamps aware UTC `datetime`, JSON is parsed objects, intervals are `timedelta`.
Storage formats are those of Prefect 3.8.8 (SQLite: 36-character ids, `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, JSON text,
intervals as a date-time relative to the Unix epoch; PostgreSQL: uuid, timestamptz, json/jsonb, interval).

A type offers `encoder(dialect)` and `decoder(dialect)`; each gives a function, or None where the driver's own value is
already right. None values never reach those functions.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final

import orjson
import sqlalchemy as sa

from .. import errors

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

metadata = sa.MetaData()

Converter = Callable[[Any], Any] | None
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - intervals are stored as naive times since then


def timestamp_to_text(value: datetime) -> str:
    """An aware datetime in SQLite's stored form; naive values are taken as UTC."""
    if value.tzinfo is not None and value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(" ", "microseconds")[:26]


def timestamp_from_text(value: str) -> datetime:
    """SQLite's stored form as an aware UTC datetime."""
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def json_to_text(value: Any) -> str:
    """JSON text as Prefect writes it on SQLite: blanks after separators, non-ASCII escaped, NaN and infinity null."""
    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):  # NaN, or values only orjson knows (datetime, UUID)
        return json.dumps(_finite(value), default=_known_to_orjson)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value


def _known_to_orjson(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z))


def _json_to_pg(value: Any) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z).decode()
    except TypeError:  # integers beyond 64 bits, lone surrogates, objects nested deeper than 254 levels
        return json_to_text(value)


NUL = "it has a NUL character, which PostgreSQL cannot hold"
NO_CHARACTER = "it has half of a character (a lone surrogate)"
RANGE = "a number or a time is out of range"
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def without_nul(value: Any) -> Any:
    """The value as it is; raises InvalidValue for a text with a NUL character, as PostgreSQL's driver does."""
    if type(value) is str and "\0" in value:
        raise errors.InvalidValue(NUL)
    return value


def checked_json(text: str) -> str:
    """JSON as it is; raises InvalidValue for what jsonb does not hold: NUL characters and lone surrogates."""
    if "\\u0000" in text and _ESCAPED_NUL.search(text) is not None:
        raise errors.InvalidValue(NUL)
    if "\\ud" in text:  # beyond the first 65,536 characters there are two such escapes for each
        try:
            json.dumps(json.loads(text), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise errors.InvalidValue(NO_CHARACTER) from None
    return text


_DIGITS = bytes(ord("0") if ord("0") <= byte <= ord("9") else ord(" ") for byte in range(256))
_MANY_DIGITS = b"0" * 19


def may_hold_wide_integers(text: bytes) -> bool:
    """Whether JSON has so many digits in a row that they may be an integer beyond 64 bits.

    orjson would make a float of it without a word; the standard parser does not.
    """
    return _MANY_DIGITS in text.translate(_DIGITS)


def json_from_text(value: Any) -> Any:
    """Parse stored JSON; integers may be of any size.

    SQLite gives JSON columns numeric affinity, so a document that is a bare number comes back as that number.
    """
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "surrogatepass")
    if not may_hold_wide_integers(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:  # lone surrogates, NaN
            pass
    return json.loads(value)


class KernelType(sa.types.UserDefinedType[Any]):
    """Base of the kernel's column types."""

    cache_ok = True

    def encoder(self, dialect: str) -> Converter:
        """Canonical value -> what the driver takes."""
        return None

    def decoder(self, dialect: str) -> Converter:
        """What the driver gives -> canonical value."""
        return None


class UUID(KernelType):
    """An id."""

    def get_col_spec(self, **_: Any) -> str:
        return "UUID"

    def encoder(self, dialect: str) -> Converter:
        return lambda v: str(v) if isinstance(v, uuid.UUID) else v


class Timestamp(KernelType):
    """A point in time."""

    def get_col_spec(self, **_: Any) -> str:
        return "TIMESTAMP WITH TIME ZONE"

    def encoder(self, dialect: str) -> Converter:
        return timestamp_to_text if dialect == SQLITE else None

    def decoder(self, dialect: str) -> Converter:
        return timestamp_from_text if dialect == SQLITE else None


class JSON(KernelType):
    """A JSON document; Python None is SQL NULL. `binary` tells jsonb, which has no NUL characters, from json."""

    def __init__(self, binary: bool = True) -> None:
        self.binary = binary

    def get_col_spec(self, **_: Any) -> str:
        return "JSONB" if self.binary else "JSON"

    def encoder(self, dialect: str) -> Converter:
        write = json_to_text if dialect == SQLITE else _json_to_pg
        return (lambda v: checked_json(write(v))) if self.binary else write

    def decoder(self, dialect: str) -> Converter:
        return json_from_text


class Interval(KernelType):
    """A duration."""

    def get_col_spec(self, **_: Any) -> str:
        return "INTERVAL"

    def encoder(self, dialect: str) -> Converter:
        return (lambda v: (_EPOCH + v).isoformat(" ", "microseconds")) if dialect == SQLITE else None

    def decoder(self, dialect: str) -> Converter:
        return interval_from_text if dialect == SQLITE else None


def interval_from_text(value: Any) -> timedelta:
    """SQLite's stored interval (or the schema's default `0`) as a timedelta."""
    return datetime.fromisoformat(value) - _EPOCH if isinstance(value, str) and len(value) > 9 else timedelta(0)


class Prose(KernelType):
    """Text for people, such as what an exception said.

    PostgreSQL cannot hold NUL characters; without them the text still says what it has to, and is not refused.
    """

    def get_col_spec(self, **_: Any) -> str:
        return "VARCHAR"

    def encoder(self, dialect: str) -> Converter:
        return (lambda v: v.replace("\0", "")) if dialect == POSTGRESQL else None


class Bool(KernelType):
    """A truth value."""

    def get_col_spec(self, **_: Any) -> str:
        return "BOOLEAN"

    def encoder(self, dialect: str) -> Converter:
        return int if dialect == SQLITE else bool

    def decoder(self, dialect: str) -> Converter:
        return bool if dialect == SQLITE else None


class Enum(KernelType):
    """One of a few labels; `name` is the type's name on PostgreSQL."""

    def __init__(self, name: str, labels: Sequence[str]) -> None:
        self.name, self.labels = name, tuple(labels)

    def get_col_spec(self, **_: Any) -> str:
        return self.name
