"""WebSockets of callers who have said who they are: they are asked about again, and closed once nobody is known."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from .. import errors

if TYPE_CHECKING:
    from ..app import Kernel
    from .authentication import Authenticator, Caller
    from .websocket import WebSocket

log = logging.getLogger("prefect_kernel.web")

ROUND = 5.0
"""Seconds between two rounds, after which a socket of somebody who is no longer let in is closed at the latest."""

ENDED = (1008, "Credentials are no longer valid")
"""Close code and reason; to Prefect's clients 1008 means that they have to authenticate."""


class Opened:
    """An open socket, and what its client has shown."""

    __slots__ = ("caller", "seconds", "socket", "token", "way")

    def __init__(
        self, socket: WebSocket, token: str | None, way: Authenticator, seconds: float | None, caller: Caller
    ) -> None:
        self.socket, self.token, self.way, self.seconds, self.caller = socket, token, way, seconds, caller


class OpenSockets:
    """All open sockets of one server process whose callers are known.

    A task asks about them while there are any. It asks each way once a round about all of its sockets, so that a round
    is as many statements as there are ways. While a way cannot answer (the database is away), its sockets stay open.
    """

    def __init__(self) -> None:
        self._opened: dict[WebSocket, Opened] = {}
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()

    def add(self, opened: Opened) -> None:
        """Watch a socket, until it is removed."""
        self._opened[opened.socket] = opened
        if self._task is None:
            self._task = asyncio.create_task(self._watch(opened.socket.kernel))

    def remove(self, socket: WebSocket) -> None:
        """A socket has ended."""
        self._opened.pop(socket, None)
        if not self._opened and self._task is not None:
            self._task.cancel()
            self._task = None

    def hurry(self) -> None:
        """Something was taken away from somebody: do not wait for the next round."""
        self._now.set()

    async def _watch(self, kernel: Kernel) -> None:
        while True:
            try:
                async with asyncio.timeout(ROUND):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            await self._round(kernel)

    async def _round(self, kernel: Kernel) -> None:
        now = kernel.clock.now()
        ways: dict[int, list[Opened]] = {}
        for opened in list(self._opened.values()):
            if opened.caller.until is not None and opened.caller.until <= now:
                self._close(opened)
            elif hasattr(opened.way, "still"):
                ways.setdefault(id(opened.way), []).append(opened)
        for those in ways.values():
            for opened, caller in zip(those, await self._still(kernel, those), strict=True):
                if caller is None or not caller.may(opened.socket.permission):
                    self._close(opened)
                else:
                    opened.caller = opened.socket.caller = caller

    async def _still(self, kernel: Kernel, those: list[Opened]) -> list[Caller | None]:
        """Who they are now; who they were where that cannot be said at the moment."""
        way: Any = those[0].way
        try:
            async with asyncio.timeout(those[0].seconds):
                callers = list(await way.still(kernel, [(opened.socket, opened.token) for opened in those]))
            if len(callers) != len(those):
                raise RuntimeError(f"it gave {len(callers)} callers for {len(those)} sockets")
            if odd := [caller for caller in callers if caller is not None and not hasattr(caller, "may")]:
                raise RuntimeError(f"it gave {odd[0]!r}, which is no caller")
        except errors.StorageUnavailable as error:
            log.warning("open WebSockets cannot be looked after (%s): %s", way.name, error)
        except (Exception, SystemExit):  # a SystemExit would end the event loop
            log.exception("open WebSockets cannot be looked after (%s)", way.name)
        else:
            return callers
        return [opened.caller for opened in those]

    def _close(self, opened: Opened) -> None:
        """Close a socket; its handler sees that as it sees a client that goes."""
        self._opened.pop(opened.socket, None)
        log.info("a WebSocket of %s is closed: they are no longer let in", opened.caller.name)
        task = asyncio.create_task(self._closed(opened.socket))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _closed(self, socket: WebSocket) -> None:
        try:
            await socket.close(*ENDED)
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection is gone already
            log.info("a WebSocket could not be closed: %r", error)
