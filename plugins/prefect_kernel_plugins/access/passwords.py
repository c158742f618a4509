"""Hashes of passwords: scrypt of the standard library, slow on purpose, since people choose what can be guessed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

COST, BLOCK, PARALLEL = 2**14, 8, 5
"""What OWASP asks for with 16 MiB of memory: about a tenth of a second of one core."""

_MEMORY = 64 * 1024 * 1024


def _derive(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=parallel, maxmem=_MEMORY, dklen=32)


def hashed(password: str) -> str:
    """The hash of a password with its parameters and a salt of its own, as it is kept."""
    salt = os.urandom(16)
    parts = (base64.b64encode(part).decode() for part in (salt, _derive(password, salt, COST, BLOCK, PARALLEL)))
    return "$".join(("scrypt", str(COST), str(BLOCK), str(PARALLEL), *parts))


def matches(password: str, kept: str) -> bool:
    """Whether a password is the one whose hash is kept."""
    _, cost, block, parallel, salt, digest = kept.split("$")
    derived = _derive(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(derived, base64.b64decode(digest))
