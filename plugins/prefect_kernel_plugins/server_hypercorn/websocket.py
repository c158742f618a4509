"""The kernel's WebSocket connection behind Hypercorn's HTTP/1.1.

Hypercorn's own answers pings while it parses, and would tell a client "all is well" about messages that the application
has not taken (see `prefect_kernel.ports.server.WebSocketExtension`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import hypercorn.protocol.h11
from hypercorn.protocol.events import Data, Event, Request, StreamClosed

from prefect_kernel_plugins.server_common.handshake import Handshake
from prefect_kernel_plugins.server_common.hub import Hub
from prefect_kernel_plugins.server_common.response import whole
from prefect_kernel_plugins.server_common.scope import http_scope
from prefect_kernel_plugins.server_common.websocket import WebSocketConnection

if TYPE_CHECKING:
    from hypercorn.typing import TaskGroup

_HIGH_WATER = 64 * 1024
"""The application waits while so many bytes have not been sent."""


def install() -> None:
    """Let Hypercorn use `WebSocketStream`; it offers no place to say so but the name by which it knows its own."""
    hypercorn.protocol.h11.WSStream = WebSocketStream  # type: ignore[assignment,attr-defined]


class WebSocketStream:
    """What Hypercorn makes for a request that asks for a WebSocket (in the place of its `WSStream`).

    To Hypercorn a stream: events come by `handle`, and go by the `send` that it was given. To the connection a
    transport: it writes, and says when it can take no more.
    """

    def __init__(
        self,
        app: Any,
        config: object,
        context: object,
        task_group: TaskGroup,
        ssl: bool,
        client: tuple[str, int] | None,
        server: tuple[str, int] | None,
        send: Callable[[Event], Awaitable[None]],
        stream_id: int,
    ) -> None:
        self._hub: Hub = app.app.hub  # Hypercorn's wrapper, then `Gate`
        self._task_group, self._ssl, self._client, self._server = task_group, ssl, client, server
        self._send, self._stream_id = send, stream_id
        self._socket: WebSocketConnection | None = None
        self._outbox: list[bytes] = []
        self._size = 0  # bytes written and not sent
        self._held_back = False  # the application waits until they are
        self._something_to_do = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._closing = False
        self._gone = False

    # ------------------------------------------------------------------ a stream
    async def handle(self, event: Event) -> None:
        """Something came from the client; waits while no more is to be read."""
        if isinstance(event, Request):
            self._task_group.spawn(self._carry)
            self._open(event)
        elif isinstance(event, Data):
            if self._socket is not None and not self._closing:
                self._socket.data_received(event.data)
            await self._may_read.wait()
        elif isinstance(event, StreamClosed):
            self._gone = True
            self.close()
            if self._socket is not None:
                self._socket.connection_lost(None)

    def _open(self, request: Request) -> None:
        scope = http_scope(
            request.method,
            request.raw_path,
            request.http_version,
            request.headers,
            scheme="https" if self._ssl else "http",
            client=self._client,
            server=self._server,
        )
        handshake = Handshake.read(request.method, request.headers) if scope is not None else whole(400)
        if scope is None or isinstance(handshake, bytes):
            self.write(cast(bytes, handshake))
            self.close()
            return
        self._socket = WebSocketConnection(self._hub, cast(asyncio.Transport, self), scope, handshake)
        self._socket.start()

    async def _carry(self) -> None:
        """Send what is written, until the end."""
        while not self._gone:
            self._something_to_do.clear()
            if self._outbox:
                data = b"".join(self._outbox)
                self._outbox.clear()
                await self._send(Data(stream_id=self._stream_id, data=data))
                self._size -= len(data)
                if self._held_back and self._size < _HIGH_WATER and self._socket is not None:
                    self._held_back = False
                    self._socket.resume_writing()
            elif self._closing:
                await self._send(StreamClosed(stream_id=self._stream_id))
                return
            else:
                await self._something_to_do.wait()

    # ------------------------------------------------------------------ a transport
    def write(self, data: bytes) -> None:
        """See `asyncio.WriteTransport.write`."""
        if data and not self._closing:
            self._outbox.append(data)
            self._size += len(data)
            self._something_to_do.set()
            if self._size >= _HIGH_WATER and not self._held_back and self._socket is not None:
                self._held_back = True
                self._socket.pause_writing()

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport.pause_reading`."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport.resume_reading`."""
        self._may_read.set()

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport.is_closing`."""
        return self._closing

    def can_write_eof(self) -> bool:
        """See `asyncio.WriteTransport.can_write_eof`."""
        return True

    def write_eof(self) -> None:
        """Close: Hypercorn ends its own side first, too."""
        self.close()

    def close(self) -> None:
        """See `asyncio.BaseTransport.close`."""
        self._closing = True
        self._may_read.set()
        self._something_to_do.set()

    def abort(self) -> None:
        """See `asyncio.WriteTransport.abort`."""
        self._outbox.clear()
        self.close()
