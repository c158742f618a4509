"""Identifiers as text: every id in the kernel is a 36-character lower-case UUID string."""

from __future__ import annotations

import os
import time
import uuid

_last_ms = 0
_counter = 0


def _dashed(h: str) -> str:
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def uuid4() -> str:
    """A random version-4 UUID (RFC 9562 §5.4)."""
    value = int.from_bytes(os.urandom(16), "big")
    value = (value & ~(0xF000 << 64) & ~(0xC000 << 48)) | (0x4000 << 64) | (0x8000 << 48)
    return _dashed(f"{value:032x}")


def uuid7() -> str:
    """A time-ordered version-7 UUID (RFC 9562 §5.7), increasing within this process.

    The 12 bits after the version hold a counter (RFC 9562 §6.2 method 1), so that ids made within one
    millisecond still sort in the order in which they were made.
    """
    global _last_ms, _counter  # noqa: PLW0603 - one sequence per process is the point
    now = time.time_ns() // 1_000_000
    if now > _last_ms:
        _last_ms, _counter = now, int.from_bytes(os.urandom(2), "big") & 0x3FF
    else:
        _counter += 1
        if _counter > 0xFFF:  # more than 3,000 ids in a millisecond: borrow from the next one
            _last_ms, _counter = _last_ms + 1, 0
    tail = int.from_bytes(os.urandom(8), "big") & 0x3FFFFFFFFFFFFFFF | 0x8000000000000000
    return _dashed(f"{_last_ms & 0xFFFFFFFFFFFF:012x}7{_counter:03x}{tail:016x}")


def canonical(value: str | uuid.UUID) -> str:
    """The 36-character form of any spelling that `uuid.UUID` accepts; raises ValueError otherwise."""
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value))
