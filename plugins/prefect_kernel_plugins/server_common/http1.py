"""An HTTP/1.1 connection, parsed by llhttp (through httptools)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from math import inf

import httptools

from prefect_kernel.ports.server import Scope
from prefect_kernel_plugins.server_common.handshake import Handshake, wants_websocket
from prefect_kernel_plugins.server_common.hub import Hub
from prefect_kernel_plugins.server_common.parsing import NO_PARSER, has_body, new_parser, parser_of_body
from prefect_kernel_plugins.server_common.request import HTTPRequest
from prefect_kernel_plugins.server_common.response import refusal
from prefect_kernel_plugins.server_common.scope import address, http_scope
from prefect_kernel_plugins.server_common.websocket import WebSocketConnection

log = logging.getLogger("prefect_kernel.server")

_LINGER = 2.0
"""Seconds in which a client may read a last response while its own bytes are thrown away."""


class _Refused(Exception):
    """Stops the parser: the request gets an answer from the server itself."""

    def __init__(self, status: int) -> None:
        self.status = status


class HTTPConnection(asyncio.Protocol):
    """Parses requests, runs them one after the other, and hands WebSockets over."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.drain: asyncio.Future[None] | None = None
        """Pending while the client does not read."""
        self._transport: asyncio.Transport
        self._parser = new_parser(self)
        self._client: tuple[str, int] | None = None
        self._server: tuple[str, int] | None = None
        self._scheme = "http"
        # The request being parsed
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._in_head = False
        self._for_socket = False  # it asks for a WebSocket
        self._body_left = False  # it asks for another protocol, so the parser has not seen its body
        self._loose = 0  # reads since the parser last had something whole: it keeps those bytes
        self._length = 0  # of the body so far
        self._arriving: HTTPRequest | None = None
        self._scope: Scope = {}
        # Requests under way
        self._current: HTTPRequest | None = None  # being answered
        self._queue: deque[HTTPRequest] = deque()  # pipelined
        self._upgrade: tuple[Handshake, bytes] | None = None
        self._refusal: bytes | None = None  # the last response, once those before it are sent
        self._deaf = False  # nothing more is read
        self._ended = False  # the client sends no more, and reads on
        self._paused = False
        self._deadline = inf
        self._send_deadline = inf  # while the client does not read
        self._unsent = 0

    # ------------------------------------------------------------------ asyncio.Protocol
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        self._transport = transport
        self._client = address(transport.get_extra_info("peername"))
        self._server = address(transport.get_extra_info("sockname"))
        if transport.get_extra_info("sslcontext") is not None:
            self._scheme = "https"
        self._deadline = self.hub.loop.time() + self.hub.config.header_timeout
        self.hub.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._deaf:
            return
        self._loose += len(data)
        rest: bytes | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, _Refused):
                log.exception("Reading a request failed.", exc_info=cause)
            self._refuse(cause.status if isinstance(cause, _Refused) else 500)
        except httptools.HttpParserError:
            self._refuse(400)
        else:
            if self._loose > self.hub.config.max_header_size:
                self._refuse(431)
            elif self._arriving is not None:
                self.expect_body()
            elif self._in_head and self._current is None and self._deadline == inf:
                self._deadline = self.hub.loop.time() + self.hub.config.header_timeout
        if rest is not None:
            self._upgraded(rest)

    def eof_received(self) -> bool:
        """The client sends no more; what it has asked for whole is still answered."""
        self._ended = self._current is not None and self._arriving is None
        return self._ended

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._deaf, self._deadline = True, inf
        for request in (self._current, *self._queue):
            if request is not None:
                request.lost()
        self._queue.clear()
        self._current = None
        self._forget_parser()
        self.resume_writing()
        self.hub.closed(self)

    def _forget_parser(self) -> None:
        """The parser refers to this object: without it, connections are freed at once, and not by the collector."""
        self._parser = NO_PARSER

    def pause_writing(self) -> None:
        """The client does not read as fast as the application sends."""
        if self.drain is None:
            self.drain = self.hub.loop.create_future()
            self._unsent = self._transport.get_write_buffer_size()
            self._send_deadline = self.hub.loop.time() + self.hub.config.body_timeout

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self.drain is not None:
            self.drain.set_result(None)
            self.drain = None
            self._send_deadline = inf
            if self._deadline != inf:  # it has run while the client was busy
                self._deadline = max(self._deadline, self.hub.loop.time() + self.hub.config.keep_alive_timeout)

    # ------------------------------------------------------------------ the parser's callbacks
    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._url, self._headers, self._in_head = b"", [], True
        if self._current is None:
            self._deadline = inf

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self._url += url
        if len(self._url) > self.hub.config.max_header_size:
            raise _Refused(431)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; after a chunked body a trailer, which is dropped."""
        if self._in_head:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The request's head is whole."""
        parser, config = self._parser, self.hub.config
        self._in_head, self._loose, self._length = False, 0, 0
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):  # a line without a version is 0.9 to the parser
            raise _Refused(400)
        hosts = 0
        size = len(self._url)
        expects_continue = False
        for name, value in self._headers:
            size += len(name) + len(value) + 4
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                if int(value) > config.max_body_size:  # the parser has seen that it is a number
                    raise _Refused(413)
            elif name == b"transfer-encoding":
                if value.lower() != b"chunked":
                    raise _Refused(501)
            elif name == b"expect":
                expects_continue = value.lower() == b"100-continue" and version == "1.1"
        if size > config.max_header_size:
            raise _Refused(431)
        if hosts != 1 and (hosts or version == "1.1"):
            raise _Refused(400)
        self._scope = self._make_scope(parser.get_method().decode(), version)
        self._for_socket = version == "1.1" and parser.should_upgrade() and wants_websocket(self._headers)
        if self._for_socket:
            return
        self._body_left = parser.should_upgrade() and has_body(self._headers)
        keep_alive = version == "1.1" and parser.should_keep_alive()
        request = self._arriving = HTTPRequest(self, self._scope, keep_alive, expects_continue)
        if self._current is None:
            self._deadline = inf
            self._current = request
            self.hub.run(request.run())
        else:
            self._queue.append(request)
            self.pause_reading()

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self._loose = 0
        self._length += len(data)
        if self._length > self.hub.config.max_body_size:
            raise _Refused(413)
        if self._arriving is not None:
            self._arriving.body(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._body_left:
            return
        self._loose = 0
        request, self._arriving = self._arriving, None
        if request is not None:
            if request is self._current and not request.answered:
                self._deadline = inf
            request.end()
            if request.answered and request is self._current:
                self._next()  # it was answered before it was whole

    # ------------------------------------------------------------------ requests
    def _make_scope(self, method: str, version: str) -> Scope:
        if method == "CONNECT":
            raise _Refused(501)
        scope = http_scope(
            method, self._url, version, self._headers, scheme=self._scheme, client=self._client, server=self._server
        )
        if scope is None:
            raise _Refused(400)
        return scope

    def answered(self, request: HTTPRequest) -> None:
        """The response to the current request is complete."""
        if request.gone:
            return
        if not request.keep_alive or self.hub.stopping:
            self._close()
        elif request.complete:
            self._next()
        # else: on_message_complete goes on, when what is left of the request has been read and dropped
        elif not self._deaf:
            self._deadline = self.hub.loop.time() + self.hub.config.header_timeout
            self.resume_reading()

    def _next(self) -> None:
        if self._queue:
            self._current = self._queue.popleft()
            self._deadline = inf
            self.hub.run(self._current.run())
            self.resume_reading()  # its body may not have come yet
            return
        self._current = None
        if self._refusal is not None:
            self._last_words(self._refusal)
        elif self.hub.stopping or self._ended:
            self._close()
        elif self._upgrade is not None:
            self._hand_over(*self._upgrade)
        else:
            config = self.hub.config
            limit = config.header_timeout if self._in_head else config.keep_alive_timeout
            self._deadline = self.hub.loop.time() + limit
            if self._paused:
                self.resume_reading()

    def _refuse(self, status: int) -> None:
        """The request being read is not one: answer what came before it, then this, then close."""
        broken, self._arriving = self._arriving, None
        self._deaf = True
        response = refusal(status)
        if broken is not None and broken is not self._current:
            self._queue.remove(broken)  # never started
        if self._current is None:
            self._last_words(response)
        elif broken is self._current:
            if broken.answered:
                self._close(linger=True)
            elif broken.started:
                self._transport.abort()
            else:
                broken.lost()
                self._last_words(response)
        else:
            self._refusal = response
            self.pause_reading()

    def _upgraded(self, rest: bytes) -> None:
        """The parser has stopped after a request that asks for another protocol."""
        if self._for_socket:
            handshake = Handshake.read(self._scope["method"], self._headers)
            if isinstance(handshake, bytes):
                self._deaf, self._refusal = True, handshake
                if self._current is None:
                    self._last_words(handshake)
            elif self._current is None:
                self._hand_over(handshake, rest)
            else:
                self._deaf, self._upgrade = True, (handshake, rest)
                self.pause_reading()
        else:  # such as h2c: the answer in HTTP/1.1 says that the protocol stays
            left, self._body_left = self._body_left, False
            self._parser = parser_of_body(self, self._headers) if left else new_parser(self)
            self.data_received(rest)

    def _hand_over(self, handshake: Handshake, rest: bytes) -> None:
        self._deaf = True
        self.hub.connections.discard(self)
        socket = WebSocketConnection(self.hub, self._transport, self._scope, handshake)
        self._transport.set_protocol(socket)
        self._forget_parser()
        socket.start(rest)
        self.resume_reading()

    # ------------------------------------------------------------------ the transport
    def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        self._transport.write(data)

    def pause_reading(self) -> None:
        """Leave bytes in the socket, which slows the client down."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless pipelined requests wait."""
        if self._paused and not self._queue and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
            self.expect_body()

    def expect_body(self) -> None:
        """Give the client its time for the next piece of the body that is being read."""
        request = self._arriving
        if request is not None and request is self._current and not request.answered:
            self._deadline = self.hub.loop.time() + self.hub.config.body_timeout

    def _last_words(self, response: bytes) -> None:
        self._transport.write(response)
        self._close(linger=True)

    def _close(self, linger: bool = False) -> None:
        """Close after what was written.

        Closing with unread bytes resets a connection, and the client may lose the response with it. Where bytes may be
        on their way, only this side is closed, until the client has closed too.
        """
        if self._transport.is_closing():
            return
        linger = linger or self._arriving is not None
        self._deaf = True
        self._queue.clear()
        self._current = None
        self._deadline = self.hub.loop.time() + _LINGER
        if linger and self._transport.can_write_eof():
            self._transport.write_eof()
            self.resume_reading()
        else:
            self._transport.close()

    def tick(self, now: float) -> None:
        """Close when a time limit has passed."""
        if self.drain is not None:
            self._tick_sending(now)
            return
        if now < self._deadline:
            return
        if self._deaf:
            self._transport.abort()
        elif self._current is not None and not self._current.answered:
            if self._paused or self._current.expects_continue:  # it is the application that takes its time
                self.expect_body()
            else:
                self._refuse(408)
        elif self._in_head:
            self._refuse(408)
        else:
            self._close()

    def _tick_sending(self, now: float) -> None:
        """An answer may take as long as it likes, but not stand still."""
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._send_deadline = now + self.hub.config.body_timeout
        elif now >= self._send_deadline:
            self._transport.abort()
        self._unsent = unsent

    def shutdown(self) -> None:
        """Close when nothing is under way, else after the response."""
        if (self._current is None or self._current.answered) and not self._deaf:
            self._close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()
