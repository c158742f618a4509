"""Heads of HTTP/1.1 responses."""

from __future__ import annotations

import http
import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache

Headers = Iterable[tuple[bytes, bytes]]

_is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_known_names: set[bytes] = {b"content-type", b"content-length", b"vary"}
_status_lines: dict[int, bytes] = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in http.HTTPStatus
}


@lru_cache(maxsize=2)
def _date_line(second: int) -> bytes:
    return b"date: " + formatdate(second, usegmt=True).encode()


def date_line() -> bytes:
    """The Date header of this second."""
    return _date_line(int(time.time()))


def head(status: int, lines: list[bytes]) -> bytes:
    """A response head from header lines; raises ValueError when a line would break out of its header."""
    text = b"\r\n".join([_status_lines.get(status) or b"HTTP/1.1 %d " % status, *lines, b"\r\n"])
    breaks = len(lines) + 2
    if text.count(b"\n") != breaks or text.count(b"\r") != breaks or b"\0" in text:
        raise ValueError("A response header contains a line break or NUL.")
    return text


def header_line(name: bytes, value: bytes) -> bytes:
    """One header; raises ValueError when the name is not a token."""
    if name not in _known_names:
        if not _is_token(name):
            raise ValueError(f"Invalid name of a response header: {name!r}")
        if len(_known_names) < 1000:
            _known_names.add(name)
    return b"%b: %b" % (name, value)


_REFUSALS = {
    400: "This is no request of HTTP/1.1.",
    408: "The rest of the request has not come in time.",
    413: "The body is larger than PREFECT_KERNEL_MAX_BODY_BYTES allows.",
    431: "The head of the request is larger than PREFECT_KERNEL_MAX_HEADER_BYTES allows.",
    500: "The request could not be read.",
    501: "This method or transfer encoding is not known here.",
}


def refusal(status: int) -> bytes:
    """The answer to what never becomes a request, in the shape of the API's own errors; the connection is closed."""
    return whole(status, f'{{"detail":"{_REFUSALS[status]}"}}', media=b"application/json")


def whole(
    status: int, message: str = "", headers: Headers = (), *, media: bytes = b"text/plain; charset=utf-8"
) -> bytes:
    """A complete response with a text body, after which the connection is closed."""
    body = message.encode()
    lines = [header_line(name, value) for name, value in headers]
    if body:
        lines.append(b"content-type: " + media)
    lines += [b"content-length: %d" % len(body), date_line(), b"connection: close"]
    return head(status, lines) + body
