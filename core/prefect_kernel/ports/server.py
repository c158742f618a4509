"""The ASGI server port: what carries HTTP and WebSockets between a socket and the application.

A runner owns connections and their protocol, and nothing else: it opens no database, handles no signals and runs no
ASGI lifespan, since the kernel starts and stops its parts itself, around `ServerRunner.serve`.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypedDict, runtime_checkable

from prefect_kernel.errors import ServerError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

WEBSOCKET_EXTENSION = "prefect_kernel.websocket"
"""Key in `scope["extensions"]` of a WebSocket; its value is a `WebSocketExtension`."""


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping of the client, at its place in the order of messages; answered with `WebSocketExtension.pong`."""

    payload: bytes


class WebSocketExtension(TypedDict):
    """What a runner offers beside ASGI's `receive` and `send`, for sockets that carry many small messages.

    ASGI hides pings, so a server that answers them while parsing tells the client "all is well" about messages which
    the application has not yet taken. Here a ping waits for its turn: a pong after a batch of events then means that
    the application is done with the events. (With ASGI's `receive` a ping is answered when the application asks for
    the message that follows it.)
    """

    receive_many: Callable[[], Awaitable[list[str | bytes | Ping]]]
    """Waits for at least one item, then gives all that has arrived. Raises `WebSocketDisconnected` when no more is to
    come. For use after `websocket.accept`; may follow uses of `receive`, but not run at the same time."""
    pong: Callable[[bytes], Awaitable[None]]
    """Answers a ping; does nothing when the socket is closed."""


class WebSocketDisconnected(ConnectionError):
    """The peer is gone, or has closed, and all its messages were taken."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"WebSocket closed with {code} {reason}".rstrip())
        self.code, self.reason = code, reason


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """How to serve; equal for each runner. Times in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = 4200
    sockets: Sequence[socket.socket] = ()
    """Sockets that already listen (shared by several workers); host and port are not looked at then."""
    backlog: int = 2048
    keep_alive_timeout: float = 5.0
    """How long a connection may stay open with no request under way."""
    header_timeout: float = 20.0
    """How long a client may take to send a complete request head, from its first byte (or from connecting)."""
    body_timeout: float = 60.0
    """How long a request's body may stand still before its end; beyond it 408. So long a client may read nothing of an
    answer, too; beyond it the connection is cut."""
    graceful_timeout: float = 10.0
    """How long requests under way may take once the server is told to stop."""
    max_header_size: int = 64 * 1024
    """Request line and headers together; beyond it 431."""
    max_body_size: int = 64 * 1024 * 1024
    """Beyond it 413."""
    websocket_ping_interval: float | None = 20.0
    websocket_ping_timeout: float | None = 20.0
    websocket_max_message_size: int = 16 * 1024 * 1024
    """Beyond it the socket is closed with 1009."""
    websocket_buffer_messages: int = 2048
    websocket_buffer_size: int = 4 * 1024 * 1024
    """A socket is not read on while so many messages or bytes wait for the application."""
    websocket_shutdown_code: int = 1012
    """Close code of the WebSockets that are open when the server stops ("service restart")."""


ReadyCallback = Callable[[Sequence[Address]], None]


@runtime_checkable
class ServerRunner(Protocol):
    """Serves an ASGI application until told to stop."""

    name: str

    async def serve(self, app: ASGIApp, config: ServeConfig, ready: ReadyCallback, stop: asyncio.Event) -> None:
        """Listen, call `ready` with the addresses, serve until `stop` is set, then end gracefully.

        Ending: no new connections; WebSockets are closed with `websocket_shutdown_code`; requests under way get
        `graceful_timeout` seconds and are cancelled then. Raises `ServerError` when it cannot listen.
        """


def open_sockets(config: ServeConfig) -> list[socket.socket]:
    """The listening sockets for `config`: one per address of the host; those given in `config.sockets` are returned.

    Raises `ServerError` with a sentence that says what to do.
    """
    if config.sockets:
        return list(config.sockets)
    if not 0 <= config.port <= 65535:
        raise ServerError(f"Cannot listen on port {config.port}: ports go from 0 to 65535.")
    host = config.host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host or None, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ServerError(f"Cannot listen on {host!r}: it is neither an address nor the name of this host.") from error
    opened: list[socket.socket] = []
    port = config.port
    for family, kind, proto, _, address in dict.fromkeys(found):
        try:
            opened.append(_listen(family, kind, proto, (address[0], port, *address[2:]), config.backlog))
        except OSError as error:
            if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and len(found) > 1:
                continue  # a name such as "localhost" that also has an address which this machine does not use
            for sock in opened:
                sock.close()
            raise ServerError(_refusal(host, port, error)) from error
        port = opened[0].getsockname()[1]  # port 0: the same free port on each address
    if not opened:
        raise ServerError(f"Cannot listen on {host!r}: none of its addresses belongs to this machine.")
    return opened


def _listen(family: int, kind: int, proto: int, address: tuple[Any, ...], backlog: int) -> socket.socket:
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # 0.0.0.0 may be bound beside ::
        sock.setblocking(False)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is already in use: stop what listens there, or choose another with --port."
    if error.errno == errno.EACCES:
        return f"No permission to listen on port {port}: choose one above 1023 with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"Cannot listen on {host!r}: it is not an address of this machine."
    return f"Cannot listen on {host}:{port}: {error.strerror or error}."


def addresses(sockets: Sequence[socket.socket]) -> list[Address]:
    """Where `sockets` listen."""
    return [Address(*sock.getsockname()[:2]) for sock in sockets]


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The factory of uvloop's event loop; None, for asyncio's own, where uvloop is not installed (Windows)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def ending() -> list[signal.Signals]:
    """The signals that end a server in good order; SIGHUP, too, unless the process was told to outlive its terminal."""
    found = [signal.SIGTERM, signal.SIGINT]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it
        found.append(signal.SIGHUP)
    return found


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM, SIGINT or SIGHUP of this process; must run in the event loop of the main thread."""
    loop = asyncio.get_running_loop()
    for number in ending():
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
