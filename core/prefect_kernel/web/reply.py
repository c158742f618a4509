"""Replies: status, body and headers of an answer, ready to be sent."""

from __future__ import annotations

import json as standard_json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
from pydantic import BaseModel

OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
JSON_TYPE = (b"content-type", b"application/json")


class Reply:
    """An answer. `headers` holds everything but content-length, which is added when it is sent."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.status, self.body = status, body
        self.headers = headers if headers is not None else []


class Stream(Reply):
    """An answer whose body is made while it is sent, so that it need not fit into memory."""

    __slots__ = ("chunks",)

    def __init__(self, chunks: AsyncIterator[bytes], headers: list[tuple[bytes, bytes]], status: int = 200) -> None:
        super().__init__(status, b"", headers)
        self.chunks = chunks


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON: date-times in UTC with `Z`, floats as they are, NaN as null."""
    try:
        return orjson.dumps(value, option=OPTIONS)
    except TypeError:
        return _dumps_anything(value)


def _dumps_anything(value: Any) -> bytes:
    """What orjson refuses: integers beyond 64 bits, lone surrogates, objects nested deeper than 254 levels."""
    return standard_json.dumps(value, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    try:
        return orjson.loads(orjson.dumps(value, option=OPTIONS))
    except TypeError:
        return str(value)


def json(value: Any, status: int = 200) -> Reply:
    """An answer with `value` as JSON."""
    return Reply(status, dumps(value), [JSON_TYPE])


def raw(body: bytes, status: int = 200) -> Reply:
    """An answer whose body is JSON already."""
    return Reply(status, body, [JSON_TYPE])


def no_content() -> Reply:
    """204: done, and nothing to say."""
    return Reply(204)


def text(body: str, status: int = 200, media_type: str = "text/plain; charset=utf-8") -> Reply:
    """An answer that is not JSON."""
    return Reply(status, body.encode(), [(b"content-type", media_type.encode())])
