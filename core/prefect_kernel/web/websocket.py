"""A WebSocket as handlers see it, and the handshake of Prefect's clients."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from ..app import Kernel
    from .authentication import Caller

SUBPROTOCOL = "prefect"
EXTENSION = "prefect_kernel.websocket"


class Disconnected(Exception):
    """The client has closed the socket, or the connection broke."""


class Ping:
    """A protocol ping in the stream of messages, on servers that hand them over."""

    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


class WebSocket:
    """One WebSocket connection."""

    def __init__(
        self,
        kernel: Kernel,
        scope: dict[str, Any],
        receive: Any,
        send: Any,
        path: dict[str, str],
        permission: str = "run",
    ) -> None:
        self.kernel, self.scope, self.path, self.permission = kernel, scope, path, permission
        self.caller: Caller | None = None
        """Who has opened it, once the handshake is done and where that is asked."""
        self._receive, self._send = receive, send
        self._extension: dict[str, Any] = (scope.get("extensions") or {}).get(EXTENSION) or {}
        self._closed = False

    def header(self, name: str) -> str | None:
        """The (first) header of that lower-case name in the request that opened the socket."""
        value = dict(self.scope["headers"][::-1]).get(name.encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    async def accept(self, subprotocol: str | None = None) -> None:
        """Complete the opening handshake."""
        message = await self._receive()
        if message["type"] != "websocket.connect":
            raise Disconnected
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol})

    async def refuse(self) -> None:
        """Refuse the opening handshake: the client sees HTTP 403."""
        await self._receive()
        self._closed = True
        await self._send({"type": "websocket.close", "code": 1008})

    async def receive(self) -> str | bytes:
        """The next message; raises Disconnected."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._closed = True
            raise Disconnected
        text: str | None = message.get("text")
        return bytes(message["bytes"]) if text is None else text

    async def receive_many(self) -> list[Any]:
        """Everything that has arrived (at least one item): str, bytes, and objects with a `payload` for pings.

        Who takes a ping this way answers it with `pong` once all that came before it is done. Raises Disconnected.
        """
        many = self._extension.get("receive_many")
        if many is None:
            return [await self.receive()]
        try:
            items: list[Any] = await many()
        except ConnectionError as error:
            self._closed = True
            raise Disconnected from error
        if not items:
            self._closed = True
            raise Disconnected
        return items

    async def pong(self, payload: bytes) -> None:
        """Answer a ping that `receive_many` gave."""
        await self._extension["pong"](payload)

    async def send(self, text: str | bytes) -> None:
        """Send a text message (JSON bytes are sent as text); raises Disconnected once the socket is closed."""
        if self._closed:
            raise Disconnected
        await self._send({"type": "websocket.send", "text": text if isinstance(text, str) else text.decode()})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a code and a reason; nothing happens when it is closed already."""
        if not self._closed:
            self._closed = True
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def until_gone(self, sending: Coroutine[Any, Any, None]) -> None:
        """Run what sends, until it ends or the client has gone; what the client says meanwhile is of no interest.

        Without it a handler that waits for something else than the client would not hear that nobody listens any more.
        """
        tasks = [asyncio.ensure_future(self._gone()), asyncio.ensure_future(sending)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[1].done():
                tasks[1].result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _gone(self) -> None:
        while not self._closed:
            try:
                await self.receive()
            except Disconnected:
                return

    async def handshake(self, *, required: bool = False, reason: str | None = None) -> bool:
        """Prefect's opening: subprotocol `prefect`, then an auth frame that is answered.

        False when the socket was refused or closed. Without the subprotocol a socket is accepted in the old way, unless
        callers must say who they are or `required` says otherwise. `reason` stands in for the reasons of refusals. Who
        must say who they are has as long for it as for the headers of a request.
        """
        authentication = self.kernel.dispatcher.authentication
        if SUBPROTOCOL not in (self.scope.get("subprotocols") or []):
            if required or authentication is not None:
                await self.refuse()
                return False
            await self.accept()
            return True
        await self.accept(SUBPROTOCOL)
        seconds = None if authentication is None else self.kernel.settings.kernel.header_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                message = await self.receive()
            frame = orjson.loads(message)
        except (TimeoutError, orjson.JSONDecodeError, UnicodeDecodeError):
            frame = None
        if not isinstance(frame, dict) or frame.get("type") != "auth":
            await self.close(1008, reason or "Expected 'auth' message")
            return False
        if authentication is not None:
            token = frame.get("token")
            given = token if isinstance(token, str) and token else None
            self.caller = await authentication.socket(self, given)
            if self.caller is None:
                await self.close(1008, reason or ("Invalid token" if token else "Auth required but no token provided"))
                return False
            if not self.caller.may(self.permission):
                await self.close(1008, reason or f"The permission {self.permission!r} is needed")
                return False
        await self.send('{"type":"auth_success"}')
        return True
