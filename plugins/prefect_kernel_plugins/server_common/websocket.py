"""A WebSocket connection: between a transport and the ASGI application."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import Any

from prefect_kernel.ports.server import WEBSOCKET_EXTENSION, Message, Ping, Scope, WebSocketDisconnected
from prefect_kernel_plugins.server_common import frames
from prefect_kernel_plugins.server_common.handshake import Handshake
from prefect_kernel_plugins.server_common.hub import Hub
from prefect_kernel_plugins.server_common.response import date_line, head, header_line, whole

log = logging.getLogger("prefect_kernel.server")

CLOSE_TIMEOUT = 5.0
"""Seconds that either side has for its part of the closing handshake."""


class State(Enum):
    """Of the connection, as seen from this side."""

    CONNECTING = auto()  # the application has not answered the handshake
    REFUSING = auto()  # it is answering with an HTTP response
    OPEN = auto()
    ENDING = auto()  # no more messages will come; a close frame is owed until the application comes back
    CLOSING = auto()  # a close frame was sent
    CLOSED = auto()  # the transport is closing or gone


class WebSocketConnection(asyncio.Protocol):
    """Takes over the transport of a request that asked for a WebSocket.

    **Order.** A ping is answered when the application has taken all that came before it *and comes back for more* (or
    calls `pong` itself, see `WebSocketExtension`). So is the peer's close frame, with a limit of `CLOSE_TIMEOUT` for
    applications that are not listening. A client may thus take pong and close as "what I sent before is dealt with".

    **Back-pressure.** The transport is not read while the application has much to take; `send` waits while the peer
    does not read.
    """

    def __init__(self, hub: Hub, transport: asyncio.Transport, scope: Scope, handshake: Handshake) -> None:
        self._hub, self._loop, self._transport, self._handshake = hub, hub.loop, transport, handshake
        config = self._config = hub.config
        self._scope = scope
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = handshake.subprotocols
        scope["extensions"] = {
            "websocket.http.response": {},
            WEBSOCKET_EXTENSION: {"receive_many": self.receive_many, "pong": self.pong},
        }
        scope.pop("method", None)
        self._reader = frames.FrameReader(
            config.websocket_max_message_size, config.websocket_buffer_messages, config.websocket_buffer_size
        )
        self._state = State.CONNECTING
        self._connect_received = False
        self._refusal: tuple[int, Any] | None = None  # status and headers of an HTTP response to the handshake
        self._taken: list[str | bytes | Ping] = []  # taken from the reader but not by the application, latest first
        self._end = (1006, "")  # what the application is told when no more is to come
        self._owed: bytes | None = None  # payload of the close frame that is to be sent when it comes back
        self._peer_closed = False
        self._early = b""  # bytes that came before the application accepted
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._close_timer: asyncio.TimerHandle | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._heard = False  # anything, since the last ping

    def start(self, early: bytes = b"") -> None:
        """Run the application; `early` is what came after the request's head."""
        self._early = early
        self._hub.connections.add(self)
        if self._hub.stopping:
            self._write_and_close(whole(503, "The server is stopping.\n"))
        else:
            self._hub.run(self._run())

    async def _run(self) -> None:
        try:
            await self._hub.app(self._scope, self.receive, self.send)
        except WebSocketDisconnected:
            pass  # the application let "the peer is gone" end it
        except asyncio.CancelledError:
            self._application_ended(self._config.websocket_shutdown_code)
            raise
        except Exception:
            log.exception("The application failed on the WebSocket %s.", self._scope["path"])
            self._application_ended(1011)
        else:
            if self._state in (State.CONNECTING, State.REFUSING):
                log.error("The application ended without answering the WebSocket %s.", self._scope["path"])
            self._application_ended(1000)
        finally:
            self._scope = {}  # it refers to this object

    def _application_ended(self, code: int) -> None:
        if self._state in (State.CONNECTING, State.REFUSING):
            self._write_and_close(whole(500) if self._state is State.CONNECTING else b"")
        else:
            self._close(code, "Internal Server Error" if code == 1011 else "")

    # ------------------------------------------------------------------ the application's side
    async def receive(self) -> Message:
        """ASGI's receive: one message; answers the pings before it."""
        if not self._connect_received:
            self._connect_received = True
            return {"type": "websocket.connect"}
        while True:
            try:
                while not self._taken:
                    self._taken = await self._arrived()
                    self._taken.reverse()
            except WebSocketDisconnected as end:
                return {"type": "websocket.disconnect", "code": end.code, "reason": end.reason}
            item = self._taken.pop()
            if isinstance(item, str):
                return {"type": "websocket.receive", "text": item}
            if isinstance(item, bytes):
                return {"type": "websocket.receive", "bytes": item}
            await self.pong(item.payload)

    async def receive_many(self) -> list[str | bytes | Ping]:
        """See `WebSocketExtension.receive_many`."""
        if self._taken:
            items, self._taken = self._taken, []
            items.reverse()
            return items
        return await self._arrived()

    async def _arrived(self) -> list[str | bytes | Ping]:
        if self._waiter is not None:
            raise RuntimeError("Two tasks receive from one WebSocket.")
        while not self._reader.waiting:
            if self._state not in (State.CONNECTING, State.REFUSING, State.OPEN):
                self._pay()
                raise WebSocketDisconnected(*self._end)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        items = self._reader.take()
        if self._reading_paused and self._state in (State.OPEN, State.ENDING):
            self._feed(b"")  # what was left unparsed
            self._balance()
        return items

    async def send(self, message: Message) -> None:
        """ASGI's send; raises WebSocketDisconnected once the socket is closed."""
        kind = message["type"]
        if kind == "websocket.send" and self._state is not State.CONNECTING:
            text = message.get("text")
            if self._state is not State.OPEN:
                self._pay()
                raise WebSocketDisconnected(*self._end)
            if text is not None:
                self._transport.write(frames.frame(frames.TEXT, text.encode()))
            else:
                self._transport.write(frames.frame(frames.BINARY, message["bytes"]))
            if self._drain is not None:
                await asyncio.shield(self._drain)
        elif kind == "websocket.accept" and self._state is State.CONNECTING:
            self._accept(message)
        elif kind == "websocket.close":
            if self._state is State.CONNECTING:
                self._write_and_close(whole(403))
            else:
                code = message.get("code") or 1000
                if not frames.is_close_code(code):
                    raise ValueError(f"{code} cannot be sent as a close code.")
                self._close(code, message.get("reason") or "")
        elif kind == "websocket.http.response.start" and self._state is State.CONNECTING:
            self._refusal = (message["status"], list(message.get("headers", ())))
            self._state = State.REFUSING
        elif kind == "websocket.http.response.body" and self._state is State.REFUSING:
            self._refuse(message.get("body", b""), message.get("more_body", False))
        elif self._state is not State.CLOSED:  # after a disconnect, answers to the handshake come too late
            raise RuntimeError(f"{kind} cannot be sent now ({self._state.name.lower()}).")

    async def pong(self, payload: bytes) -> None:
        """See `WebSocketExtension.pong`; nothing is sent when the socket is closed."""
        if self._state in (State.OPEN, State.ENDING):
            self._transport.write(frames.frame(frames.PONG, payload))
            if self._drain is not None:
                await asyncio.shield(self._drain)

    def _accept(self, message: Message) -> None:
        self._transport.write(self._handshake.accept(message.get("subprotocol"), message.get("headers") or ()))
        self._state = State.OPEN
        if self._config.websocket_ping_interval:
            self._ping_timer = self._loop.call_later(self._config.websocket_ping_interval, self._send_ping)
        early, self._early = self._early, b""
        self._feed(early)
        self._balance()

    def _refuse(self, body: bytes, more: bool) -> None:
        content = bytes(body)
        if self._refusal is not None:
            status, headers = self._refusal
            self._refusal = None
            lines = [header_line(name, value) for name, value in headers if name.lower() != b"connection"]
            content = head(status, [*lines, date_line(), b"connection: close"]) + content
        if more:
            self._transport.write(content)
        else:
            self._write_and_close(content)

    # ------------------------------------------------------------------ the peer's side
    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        self._heard = True
        if self._state is State.OPEN:
            self._feed(data)
            if self._reader.full:
                self._balance()
        elif self._state is State.CONNECTING or self._state is State.REFUSING:
            self._early += data
            self._balance()
        elif self._state is State.CLOSING and not self._peer_closed:
            self._await_close(data)

    def _feed(self, data: bytes) -> None:
        reader = self._reader
        try:
            reader.feed(data)
        except frames.Violation as violation:
            self._fail(violation.code, violation.reason)
        if reader.close is not None and self._state is State.OPEN:
            self._peer_closed = True
            code, reason = reader.close
            self._ending(code, reason, b"" if code == 1005 else frames.close_payload(code, reason))
        self._wake()

    def _await_close(self, data: bytes) -> None:
        """Drop everything until the peer's close frame."""
        reader = self._reader
        try:
            reader.feed(data)
            while reader.full and reader.close is None:
                reader.take()
                reader.feed()
        except frames.Violation:
            self._write_and_close(b"")
        reader.take()
        if reader.close is not None:
            self._peer_closed = True
            self._write_and_close(b"")

    def _balance(self) -> None:
        """Read on, or stop reading, as the buffer says."""
        if self._state in (State.CONNECTING, State.REFUSING):
            full = len(self._early) >= 65536
        else:
            full = self._reader.full or (self._state is State.ENDING and not self._peer_closed)
        if full != self._reading_paused and not self._transport.is_closing():
            self._reading_paused = full
            if full:
                self._transport.pause_reading()
            else:
                self._heard = True
                self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._state = State.CLOSED
        self._owed = None
        for timer in (self._close_timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        self.resume_writing()
        self._wake()
        self._hub.closed(self)

    def pause_writing(self) -> None:
        """The peer does not read as fast as the application sends."""
        if self._drain is None:
            self._drain = self._loop.create_future()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        if self._drain is not None:
            self._drain.set_result(None)
            self._drain = None

    # ------------------------------------------------------------------ keep-alive
    def _send_ping(self) -> None:
        if self._state is not State.OPEN:
            return
        self._heard = False
        self._transport.write(frames.frame(frames.PING, b""))
        if self._config.websocket_ping_timeout:
            self._ping_timer = self._loop.call_later(self._config.websocket_ping_timeout, self._check_pong)
        else:
            self._ping_timer = self._loop.call_later(self._config.websocket_ping_interval or 0, self._send_ping)

    def _check_pong(self) -> None:
        """Any sign of life will do: a pong may be stuck behind a large message, or behind what is not read yet."""
        if self._state is not State.OPEN:
            return
        if self._heard or self._reading_paused:
            wait = max(0.0, (self._config.websocket_ping_interval or 0) - (self._config.websocket_ping_timeout or 0))
            self._ping_timer = self._loop.call_later(wait, self._send_ping)
        else:
            self._fail(1011, "keepalive ping timeout")
            self._wake()

    # ------------------------------------------------------------------ the end
    def _ending(self, code: int, reason: str, owed: bytes) -> None:
        """No more messages will come: tell the application, then answer with a close frame."""
        self._state, self._end, self._owed = State.ENDING, (code, reason), owed
        self._close_timer = self._loop.call_later(CLOSE_TIMEOUT, self._pay)

    def _pay(self) -> None:
        """Send the close frame that is owed."""
        if self._owed is not None:
            self._send_close(self._owed)

    def _send_close(self, payload: bytes) -> None:
        self._owed = None
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._taken = self._reader.take()[::-1] + self._taken  # stays there for the application
        self._transport.write(frames.frame(frames.CLOSE, payload))
        if self._peer_closed:
            self._write_and_close(b"")
        else:
            self._state = State.CLOSING
            self._close_timer = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)
            self._await_close(b"")
            self._balance()

    def _close(self, code: int, reason: str) -> None:
        """The application closes."""
        if self._state is State.OPEN:
            self._end = (code, reason)
            self._send_close(frames.close_payload(code, reason))
        else:
            self._pay()

    def _fail(self, code: int, reason: str) -> None:
        """Close because of what the peer did or did not do; nothing that it sends is looked at any more."""
        if self._state is State.OPEN:
            self._end = (code, reason)
            self._transport.write(frames.frame(frames.CLOSE, frames.close_payload(code, reason)))
            self._state, self._peer_closed = State.CLOSING, True
            # Closing with unread bytes would reset the connection, and the close frame might be lost with it.
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._close_timer = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)

    def _write_and_close(self, data: bytes) -> None:
        self._transport.write(data)
        self._transport.close()
        self._state = State.CLOSED
        if self._close_timer is not None:
            self._close_timer.cancel()
        # A peer that does not read must not hold the connection.
        self._close_timer = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)

    def tick(self, now: float) -> None:
        """Time limits have timers of their own here."""

    def shutdown(self) -> None:
        """The server stops."""
        if self._state is State.CONNECTING:
            self._write_and_close(whole(503, "The server is stopping.\n"))
            self._wake()
        elif self._state is State.OPEN:
            code = self._config.websocket_shutdown_code
            self._ending(code, "", frames.close_payload(code))
            self._balance()
            self._wake()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()
