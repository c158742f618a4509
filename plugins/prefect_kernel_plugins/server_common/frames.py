"""WebSocket frames (RFC 6455 §5), the server's side, without I/O.

Written for sockets that carry tens of thousands of small messages per second: one pass over what a read brought, no
object per frame. Pings are kept in the order of messages instead of being answered here.
"""

from __future__ import annotations

from prefect_kernel.ports.server import Ping

try:
    from websockets.speedups import apply_mask
except ImportError:  # no wheel with the C part for this platform
    from websockets.utils import apply_mask

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_WHOLE_TEXT = 0x80 | TEXT
_LEGAL = frozenset({0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x80 | CLOSE, 0x80 | PING, 0x80 | PONG})
"""First bytes of a frame that are allowed: final data or control frames, and non-final data; no reserved bits."""
_SENDABLE = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})
"""Close codes below 3000 that may stand in a close frame."""


class Violation(Exception):
    """The peer broke the protocol, or a limit; `code` is the close code to answer with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


def is_close_code(code: int) -> bool:
    """Whether `code` may be sent in a close frame."""
    return code in _SENDABLE or 3000 <= code < 5000


def close_payload(code: int, reason: str = "") -> bytes:
    """The payload of a close frame; a reason that is too long is cut at the last whole character."""
    encoded = reason.encode("utf-8", "replace")
    if len(encoded) > 123:  # 125 bytes for a control frame, less two for the code
        encoded = encoded[:123].decode("utf-8", "ignore").encode()
    return code.to_bytes(2, "big") + encoded


def frame(opcode: int, payload: bytes) -> bytes:
    """A final, unmasked frame."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65536:
        return bytes((0x80 | opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big") + payload


class FrameReader:
    """Collects messages from the bytes of one connection.

    Parsing stops while `full`: the bytes that are left are kept, and are parsed by the next `feed` after a `take`.
    It stops for good at a close frame, or when `feed` raises.
    """

    def __init__(self, max_message: int, max_messages: int, max_waiting: int) -> None:
        self.close: tuple[int, str] | None = None
        """Code and reason of the peer's close frame; 1005 when it had none."""
        self._inbox: list[str | bytes | Ping] = []
        self._waiting = 0  # bytes in the inbox
        self._max_message, self._max_messages, self._max_waiting = max_message, max_messages, max_waiting
        self._chunks: list[bytes] = []  # not parsed yet
        self._have = 0  # bytes in _chunks
        self._need = 0  # bytes without which parsing cannot go on
        self._parts: list[bytes] | None = None  # of a fragmented message
        self._parts_size = 0
        self._parts_text = False

    @property
    def full(self) -> bool:
        """Whether so much is waiting that no more is to be read."""
        return len(self._inbox) >= self._max_messages or self._waiting >= self._max_waiting

    @property
    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._inbox)

    def take(self) -> list[str | bytes | Ping]:
        """All messages and pings, in their order."""
        taken, self._inbox, self._waiting = self._inbox, [], 0
        return taken

    def feed(self, data: bytes = b"") -> None:
        """Parse `data`, after what is left from before; raises Violation."""
        if self._chunks:
            if data:
                self._chunks.append(data)
                self._have += len(data)
            if self._have < self._need:
                return  # joined once, when the frame is whole: large frames come in many reads
            data = b"".join(self._chunks) if len(self._chunks) > 1 else self._chunks[0]
        if self.full:
            rest = data
        else:
            done = self._parse(data)
            rest = data[done:] if done else data
        if rest and self.close is None:
            self._chunks, self._have = [rest], len(rest)
        else:
            self._chunks, self._have, self._need = [], 0, 0

    def _parse(self, data: bytes) -> int:
        """Parse whole frames; give the number of bytes they took."""
        inbox, at, end = self._inbox, 0, len(data)
        room, space = self._max_messages, self._max_waiting
        self._need = 0
        while True:
            left = end - at
            if left < 2:
                self._need = 2
                return at
            first, second = data[at], data[at + 1]
            length, start = second & 0x7F, at + 6
            if length == 126:
                if left < 4:
                    self._need = 4
                    return at
                length, start = data[at + 2] << 8 | data[at + 3], at + 8
            elif length == 127:
                if left < 10:
                    self._need = 10
                    return at
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 14
            if second < 0x80 or first not in _LEGAL or length > self._max_message or first >= 0x88:
                self._check(first, second, length)
            stop = start + length
            if stop > end:
                self._need = stop - at
                return at
            payload = apply_mask(data[start:stop], data[start - 4 : start])
            at = stop
            if first == _WHOLE_TEXT and self._parts is None:
                inbox.append(_text(payload))
                self._waiting += length
            else:
                self._unusual(first, payload)
                if self.close is not None:
                    return at
            if len(inbox) >= room or self._waiting >= space:
                return at

    def _check(self, first: int, second: int, length: int) -> None:
        opcode = first & 0x0F
        if opcode not in (0x0, TEXT, BINARY, CLOSE, PING, PONG):
            raise Violation(1002, "invalid opcode")
        if second < 0x80:
            raise Violation(1002, "frame is not masked")
        if length > self._max_message:
            raise Violation(1009, f"frame with {length} bytes exceeds limit of {self._max_message} bytes")
        if first & 0x70:
            raise Violation(1002, "reserved bits must be 0")
        if opcode >= CLOSE and length > 125:
            raise Violation(1002, "control frame too long")
        if opcode >= CLOSE and first < 0x80:
            raise Violation(1002, "fragmented control frame")

    def _unusual(self, first: int, payload: bytes) -> None:
        """Anything but a text message in one frame."""
        opcode = first & 0x0F
        if opcode == PING:
            self._inbox.append(Ping(payload))
            self._waiting += len(payload)
        elif opcode == PONG:
            pass  # a sign of life, and nothing more
        elif opcode == CLOSE:
            close = _parse_close(payload)
            if self._parts is not None:
                raise Violation(1002, "incomplete fragmented message")
            self.close = close
        elif opcode:
            if self._parts is not None:
                raise Violation(1002, "expected a continuation frame")
            if first & 0x80:
                self._inbox.append(payload)  # text was dealt with by the caller
                self._waiting += len(payload)
            else:
                self._parts, self._parts_size, self._parts_text = [payload], len(payload), opcode == TEXT
        elif self._parts is None:
            raise Violation(1002, "unexpected continuation frame")
        else:
            self._parts_size += len(payload)
            if self._parts_size > self._max_message:
                raise Violation(1009, f"message exceeds limit of {self._max_message} bytes")
            if payload:  # a flood of empty fragments must not grow the list
                self._parts.append(payload)
            if first & 0x80:
                whole = b"".join(self._parts)
                self._parts = None
                self._inbox.append(_text(whole) if self._parts_text else whole)
                self._waiting += len(whole)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise Violation(1007, f"{error.reason} at position {error.start}") from None


def _parse_close(payload: bytes) -> tuple[int, str]:
    if not payload:
        return 1005, ""
    if len(payload) == 1:
        raise Violation(1002, "close frame too short")
    code, reason = int.from_bytes(payload[:2], "big"), _text(payload[2:])
    if not is_close_code(code):
        raise Violation(1002, "invalid status code")
    return code, reason
