"""The opening handshake of a WebSocket (RFC 6455 §4.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from prefect_kernel_plugins.server_common.response import Headers, date_line, head, header_line, whole

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OURS = frozenset(
    {b"upgrade", b"connection", b"sec-websocket-accept", b"sec-websocket-protocol", b"sec-websocket-extensions"}
)


def tokens(headers: Headers, name: bytes) -> list[bytes]:
    """The elements of a list header, which may come in several lines."""
    found = [value for key, value in headers if key == name]
    return [token for value in found for part in value.split(b",") if (token := part.strip(b" \t"))]


def wants_websocket(headers: Headers) -> bool:
    """Whether a request asks to change to the WebSocket protocol."""
    return any(token.lower() == b"upgrade" for token in tokens(headers, b"connection")) and [
        token.lower() for token in tokens(headers, b"upgrade")
    ] == [b"websocket"]


@dataclass(frozen=True, slots=True)
class Handshake:
    """A valid request for a WebSocket."""

    key: bytes
    subprotocols: list[str]

    @classmethod
    def read(cls, method: str, headers: Headers) -> Handshake | bytes:
        """Check a request; the response that refuses it when it is not valid."""
        keys = [value for name, value in headers if name == b"sec-websocket-key"]
        versions = [value for name, value in headers if name == b"sec-websocket-version"]
        if method != "GET":
            return whole(405, "A WebSocket is opened with GET.\n", [(b"allow", b"GET")])
        if versions != [b"13"]:
            return whole(426, "Only version 13 of WebSockets is spoken here.\n", [(b"sec-websocket-version", b"13")])
        if len(keys) != 1 or not _is_nonce(keys[0]):
            return whole(400, "Sec-WebSocket-Key must be given once, with 16 bytes in base64.\n")
        offered = [token.decode("latin-1") for token in tokens(headers, b"sec-websocket-protocol")]
        return cls(keys[0], offered)

    def accept(self, subprotocol: str | None, headers: Headers) -> bytes:
        """The response that opens the WebSocket; raises ValueError for what may not be in it."""
        digest = hashlib.sha1(self.key + _GUID, usedforsecurity=False).digest()
        lines = [
            b"upgrade: websocket",
            b"connection: upgrade",
            b"sec-websocket-accept: " + base64.b64encode(digest),
            date_line(),
        ]
        if subprotocol is not None:
            if subprotocol not in self.subprotocols:
                raise ValueError(f"The client did not offer the subprotocol {subprotocol!r}.")
            lines.append(header_line(b"sec-websocket-protocol", subprotocol.encode("latin-1")))
        for name, value in headers:
            if name.lower() in _OURS:
                raise ValueError(f"The server sets {name.decode('latin-1')} itself.")
            lines.append(header_line(name, value))
        return head(101, lines)


def _is_nonce(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
