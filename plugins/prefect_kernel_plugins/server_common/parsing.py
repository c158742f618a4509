"""The parser of HTTP/1.1, and what it has to be talked into.

Where a request asks for another protocol, the parser calls it whole at the end of its head, and leaves the rest to
whoever speaks that protocol. `Upgrade: h2c`, which Java's client and `curl --http2` send along with a body, is not
taken up: the body follows, and after it further requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    from prefect_kernel_plugins.server_common.http1 import HTTPConnection

Headers = list[tuple[bytes, bytes]]
NO_PARSER = httptools.HttpRequestParser(object())
"""In place of one that is done with."""
_FRAMING = (b"content-length", b"transfer-encoding")


def new_parser(connection: HTTPConnection | _FromTheBodyOn) -> httptools.HttpRequestParser:
    """A parser that tells a connection what it reads."""
    parser = httptools.HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)  # dropped by the connection, not an error
    return parser


def has_body(headers: Headers) -> bool:
    """Whether a body comes after the head."""
    return any(name in _FRAMING for name, _ in headers)


class _FromTheBodyOn:
    """Tells a connection all but the head of the first request."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection
        self._first = True
        self.on_body, self.on_message_complete = connection.on_body, connection.on_message_complete

    def on_message_begin(self) -> None:
        if not self._first:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._first:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._first:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._first:
            self._connection.on_headers_complete()
        self._first = False


def parser_of_body(connection: HTTPConnection, headers: Headers) -> httptools.HttpRequestParser:
    """A parser that reads the body of a request with these headers next, and then the requests after it."""
    parser = new_parser(_FromTheBodyOn(connection))
    framing = b"".join(b"%b: %b\r\n" % (name, value) for name, value in headers if name in _FRAMING)
    parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n")
    return parser
