"""One HTTP request and its response, as the ASGI application sees them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from prefect_kernel.ports.server import Message, Scope
from prefect_kernel_plugins.server_common.response import date_line, head, header_line, whole

if TYPE_CHECKING:
    from prefect_kernel_plugins.server_common.http1 import HTTPConnection

log = logging.getLogger("prefect_kernel.server")

_BODY_BUFFER = 256 * 1024
"""A connection is not read while so many bytes of a request's body wait for the application."""


class HTTPRequest:
    """The application's `receive` and `send` for one request."""

    __slots__ = (
        "_bodyless",
        "_chunked",
        "_given",
        "_head",
        "_left",
        "_parts",
        "_waiter",
        "_waiting",
        "answered",
        "complete",
        "connection",
        "expects_continue",
        "gone",
        "keep_alive",
        "scope",
        "started",
    )

    def __init__(self, connection: HTTPConnection, scope: Scope, keep_alive: bool, expects_continue: bool) -> None:
        self.connection, self.scope = connection, scope
        self.keep_alive, self.expects_continue = keep_alive, expects_continue
        self.complete = False  # the whole request has arrived
        self.gone = False  # the client is gone, or has broken the protocol
        self.started = False  # the response
        self.answered = False  # the response is complete
        self._parts: list[bytes] = []  # of the body, not taken yet
        self._waiting = 0  # bytes in _parts
        self._given = False  # the end of the body has been given to the application
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""  # of the response, while it waits for the first part of the body
        self._left: int | None = None  # bytes of the response's body to come, when the head says
        self._chunked = False
        self._bodyless = False

    # ------------------------------------------------------------------ from the connection
    def body(self, data: bytes) -> None:
        """A part of the body has arrived."""
        if self.answered:
            return
        self._parts.append(data)
        self._waiting += len(data)
        if self._waiting > _BODY_BUFFER:
            self.connection.pause_reading()
        self.wake()

    def end(self) -> None:
        """The whole request has arrived."""
        self.complete = True
        self.wake()

    def lost(self) -> None:
        """No more will come from the client, nor reach it."""
        self.gone = True
        self.wake()

    def wake(self) -> None:
        """Let `receive` look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ------------------------------------------------------------------ the application
    async def run(self) -> None:
        """Call the application, and put right what it leaves undone."""
        try:
            await self.connection.hub.app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._give_up(503)
            raise
        except Exception:
            log.exception("The application failed on %s %s.", self.scope["method"], self.scope["path"])
            self._give_up(500)
        else:
            if not self.answered and not self.gone:
                log.error("The application did not answer %s %s.", self.scope["method"], self.scope["path"])
                self._give_up(500)

    def _give_up(self, status: int) -> None:
        if self.answered or self.gone:
            return
        self.answered, self.keep_alive = True, False
        self.wake()
        if not self.started or self._head:
            self.connection.write(whole(status))
            self.connection.answered(self)
        else:
            self.connection.abort()  # so that the client does not take half a response for a whole one

    async def receive(self) -> Message:
        """ASGI's receive."""
        while True:
            if self.gone or self.answered:
                return {"type": "http.disconnect"}
            if self._parts:
                body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts, self._waiting = [], 0
                if not self.complete:
                    self.connection.resume_reading()
                self._given = self.complete
                return {"type": "http.request", "body": body, "more_body": not self.complete}
            if self.complete and not self._given:
                self._given = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self.expects_continue and not self.complete:
                self.expects_continue = False
                if not self.started:
                    self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    self.connection.expect_body()
            if self._waiter is not None:
                raise RuntimeError("Two tasks receive one request.")
            self._waiter = self.connection.hub.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def send(self, message: Message) -> None:
        """ASGI's send; what is sent to a client that is gone is dropped."""
        kind = message["type"]
        if kind == "http.response.body" and self.started and not self.answered:
            self._send_body(message.get("body", b""), message.get("more_body", False))
            if self.connection.drain is not None:
                await asyncio.shield(self.connection.drain)
        elif kind == "http.response.start" and not self.started:
            self._start(message)
        else:
            raise RuntimeError(f"{kind} cannot be sent now.")

    def _start(self, message: Message) -> None:
        status: int = message["status"]
        lines = []
        dated = closes = False
        for name, value in message.get("headers", ()):
            lower = name.lower()
            if lower == b"content-length":
                self._left = int(value)
                if status == 204:
                    continue
            elif lower == b"transfer-encoding":
                continue  # chunked is the only one, and is this server's business
            elif lower == b"connection":
                closes = closes or b"close" in value.lower()
                continue
            elif lower == b"date":
                dated = True
            lines.append(header_line(lower, value))
        if not 200 <= status <= 999:
            raise ValueError(f"{status} is not the status of a response.")
        if not dated:
            lines.append(date_line())
        # A client that was not told to continue will not send its body: nothing can follow on this connection.
        if closes or self.connection.hub.stopping or (self.expects_continue and not self.complete):
            self.keep_alive = False
        self._bodyless = status in (204, 304) or self.scope["method"] == "HEAD"
        self._head = head(status, lines)
        self.started = True

    def _send_body(self, body: bytes, more: bool) -> None:
        connection = self.connection
        content = self._finish_head(body, more) if self._head else b""
        if self._bodyless:
            pass
        elif self._chunked:
            if body:
                content += b"%x\r\n%b\r\n" % (len(body), body)
            if not more:
                content += b"0\r\n\r\n"
        elif self._left is None:
            content += body  # the end of the connection is the end of the body
        else:
            left = self._left - len(body)
            if left < 0 or (left and not more):
                raise RuntimeError(f"The response is {'longer' if left < 0 else 'shorter'} than its content-length.")
            self._left = left
            content += body
        self._head = b""
        if content and not self.gone:
            connection.write(content)
        if not more:
            self.answered = True
            if self._waiter is not None:
                self.wake()
            connection.answered(self)

    def _finish_head(self, body: bytes, more: bool) -> bytes:
        """The head with what depends on the body, and on whether the connection stays."""
        lines = b""
        if self._left is None and not self._bodyless:
            if not more:
                self._left = len(body)
                lines = b"content-length: %d\r\n" % self._left
            elif self.scope["http_version"] == "1.1":
                self._chunked = True
                lines = b"transfer-encoding: chunked\r\n"
            else:
                self.keep_alive = False
        if not self.keep_alive:
            lines += b"connection: close\r\n"
        return self._head[:-2] + lines + b"\r\n" if lines else self._head
