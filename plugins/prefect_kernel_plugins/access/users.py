"""Callers with a name and a password."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prefect_kernel import errors, web
from prefect_kernel.web.authentication import ROLES

from . import queries
from .passwords import hashed, matches
from .remembered import Remembered

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

MOST_WAITING = 50
"""Passwords that may wait to be checked; one is checked at a time, so that nobody can use up all cores by guessing."""

MOST_CHECKED = 10_000
LONGEST_PASSWORD = 1024


class Users:
    """Knows those whose name and password are right: as basic authentication, or as a WebSocket's first message.

    A slow hash cannot be computed for every request: what was right is remembered, in memory, as a keyed hash beside
    the hash that is kept; who changes the password makes it worthless.
    """

    name = "users"
    interactive = True

    def __init__(self) -> None:
        self.remembered: Remembered[Any] = Remembered()
        self._key = os.urandom(32)
        self._checked: dict[bytes, str] = {}
        self._one = asyncio.Lock()
        self._waiting = 0
        self._nobody: str | None = None

    async def _known(self, kernel: Kernel, text: str) -> web.Caller | None:
        name, colon, password = text.partition(":")
        if not name or not colon or not password or len(password) > LONGEST_PASSWORD or "\0" in name:
            return None
        try:
            name.encode()
        except UnicodeEncodeError:
            return None
        row = self.remembered.get(kernel, name)
        if row is None:
            row = await kernel.storage.read(queries.user_by_name, name)
            if row is not None:
                self.remembered.put(kernel, name, row)
        if row is None or not row[2]:
            await self._is_right(text, password, None)  # who guesses names learns nothing from how long it takes
            return None
        kept, role, _ = row
        return web.Caller(name, ROLES[role], self.name) if await self._is_right(text, password, kept) else None

    async def _is_right(self, text: str, password: str, kept: str | None) -> bool:
        mark = hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        if kept is not None and self._checked.get(mark) == kept:
            return True
        if self._waiting >= MOST_WAITING:
            raise errors.TooManyRequests("Too many passwords are being checked.", [(b"retry-after", b"1")])
        self._waiting += 1
        try:
            async with self._one:
                if kept is None:
                    if self._nobody is None:
                        self._nobody = await asyncio.to_thread(hashed, "nobody")
                    await asyncio.to_thread(matches, password, self._nobody)
                    return False
                if self._checked.get(mark) == kept:  # another request has waited for the same
                    return True
                right = await asyncio.to_thread(matches, password, kept)
        finally:
            self._waiting -= 1
        if right:
            if len(self._checked) >= MOST_CHECKED:
                self._checked.clear()
            self._checked[mark] = kept
        return right

    async def request(self, request: web.Request) -> web.Caller | None:
        given = web.credentials(request.header("authorization"))
        if given is None or given[0] != "basic":
            return None
        return await self._known(request.kernel, given[1])

    async def socket(self, socket: web.WebSocket, token: str | None) -> web.Caller | None:
        return None if token is None else await self._known(socket.kernel, token)

    async def still(
        self, kernel: Kernel, opened: Sequence[tuple[web.WebSocket, str | None]]
    ) -> list[web.Caller | None]:
        """Who they are now: one statement about all of them; a hash is computed only where a password has changed."""
        texts = [_shown(socket, token) for socket, token in opened]
        names = sorted({text.partition(":")[0] for text in texts if text is not None})
        rows = await kernel.storage.read(queries.users_by_name, names)
        for name in names:
            self.remembered.drop(name)
            if name in rows:
                self.remembered.put(kernel, name, rows[name])
        known: dict[str, web.Caller | None] = {}
        for text in {text for text in texts if text is not None}:
            row = rows.get(text.partition(":")[0])
            # Unlike at the door nobody is guessing here, so no time is spent on hiding who is there.
            known[text] = await self._known(kernel, text) if row is not None and row[2] else None
        return [None if text is None else known[text] for text in texts]


def _shown(socket: web.WebSocket, token: str | None) -> str | None:
    """What who opened a socket has shown: in its first message, or (to a blueprint) in its header."""
    if token is not None:
        return token
    given = web.credentials(socket.header("authorization"))
    return given[1] if given is not None and given[0] == "basic" else None
