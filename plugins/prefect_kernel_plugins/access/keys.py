"""Callers with an API key.

A key is 256 random bits, of which the database has the SHA-256. There is nothing in it to be guessed, so a slow hash,
as passwords need one, would only make every request slow. Looking a hash up in an index leaks no more about keys than
about any other random number.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect_kernel import web

from . import queries
from .remembered import Remembered

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

PREFIX = "pkk_"


def new_token() -> str:
    """A key, as its owner gets to see it once."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def hint_of(token: str) -> str:
    """The beginning of a key, by which its owner knows it again."""
    return token[: len(PREFIX) + 4]


def key_in(text: str) -> str | None:
    """The key in what a client has sent: all of it, or the password after a name that is not looked at."""
    if text.startswith(PREFIX):
        return text
    password = text.partition(":")[2]
    return password if password.startswith(PREFIX) else None


class ApiKeys:
    """Knows those who have a key: in the header `Authorization`, or in the first message of a WebSocket."""

    name = "api-keys"
    interactive = True

    def __init__(self) -> None:
        self.remembered: Remembered[Any] = Remembered()

    async def _known(self, kernel: Kernel, text: str | None) -> web.Caller | None:
        token = None if text is None else key_in(text)
        if token is None:
            return None
        digest = digest_of(token)
        row = self.remembered.get(kernel, digest)
        if row is None:
            row = await kernel.storage.read(queries.key_by_digest, digest)
            if row is None:
                return None
            self.remembered.put(kernel, digest, row)
        return self._caller(row, kernel.clock.now())

    def _caller(self, row: Any, now: datetime) -> web.Caller | None:
        if row is None:
            return None
        name, scope, expires = row
        return None if expires is not None and expires <= now else web.Caller(name, scope, self.name, expires)

    async def request(self, request: web.Request) -> web.Caller | None:
        given = web.credentials(request.header("authorization"))
        return await self._known(request.kernel, None if given is None else given[1])

    async def socket(self, socket: web.WebSocket, token: str | None) -> web.Caller | None:
        return await self._known(socket.kernel, _shown(socket, token))

    async def still(
        self, kernel: Kernel, opened: Sequence[tuple[web.WebSocket, str | None]]
    ) -> list[web.Caller | None]:
        """Who they are now: one statement about all of their keys."""
        texts = [_shown(socket, token) for socket, token in opened]
        keys = [key_in(text) if text is not None else None for text in texts]
        digests = {key: digest_of(key) for key in set(keys) if key is not None}
        rows = await kernel.storage.read(queries.keys_by_digest, list(digests.values()))
        for digest in digests.values():
            self.remembered.drop(digest)
            if digest in rows:
                self.remembered.put(kernel, digest, rows[digest])
        now = kernel.clock.now()
        return [None if key is None else self._caller(rows.get(digests[key]), now) for key in keys]


def _shown(socket: web.WebSocket, token: str | None) -> str | None:
    """What who opened a socket has shown."""
    if token is None:
        # Clients with PREFECT_API_KEY alone send no token to some sockets, but may send a header to all.
        given = web.credentials(socket.header("authorization"))
        token = None if given is None else given[1]
    return token


def until(now: datetime, expires: datetime | None) -> datetime | None:
    """An expiry, if it is in the future. Raises ValueError."""
    if expires is not None and expires <= now:
        raise ValueError("The key would have expired already.")
    return expires
