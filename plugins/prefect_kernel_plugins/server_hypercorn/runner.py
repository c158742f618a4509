"""Hypercorn as it comes, run inside the kernel's own event loop, with the kernel's WebSockets in place of its own.

Hypercorn reads and answers HTTP by itself; a small request costs it several times the CPU that it costs the default
server. What differs from that one:

- The limit of a body's size is the application's own (the kernel has one), and so is the length of a response.
- A connection that is slow with the head of a request is closed after `keep_alive_timeout`, without an answer. One that
  is answered before its body has come is closed then.
- Some refusals have another status, such as 400 for a head that is too large, and some oddities are not refused, see
  `docs/servers.md`.
- HTTP/2 is spoken, with prior knowledge and by `Upgrade: h2c`; WebSockets over it are Hypercorn's.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any, cast

from prefect_kernel.ports.server import (
    ASGIApp,
    Message,
    ReadyCallback,
    Receive,
    Scope,
    Send,
    ServeConfig,
    addresses,
    open_sockets,
)
from prefect_kernel_plugins.server_common.hub import Hub

if TYPE_CHECKING:
    from hypercorn.config import Config


class HypercornRunner:
    """See `ServerRunner`."""

    name = "hypercorn"

    async def serve(self, app: ASGIApp, config: ServeConfig, ready: ReadyCallback, stop: asyncio.Event) -> None:
        """See `ServerRunner.serve`."""
        from hypercorn.asyncio import serve

        from prefect_kernel_plugins.server_hypercorn.websocket import install

        install()
        sockets = open_sockets(config)
        where = addresses(sockets)
        settings = _settings(config)
        settings.bind = [f"fd://{sock.dup().detach()}" for sock in sockets]
        hub = Hub(app, config, asyncio.get_running_loop())
        ending: list[asyncio.Task[None]] = []

        async def stopped() -> None:
            """Hypercorn waits for this once it listens."""
            ready(where)
            await stop.wait()
            for sock in sockets:
                sock.close()
            ending.append(asyncio.create_task(hub.shutdown()))

        try:
            await serve(cast(Any, Gate(hub)), settings, shutdown_trigger=stopped)
        finally:
            await (ending[0] if ending else hub.shutdown())


def _settings(config: ServeConfig) -> Config:
    from hypercorn.config import Config

    settings = Config()
    settings.accesslog = None
    settings.errorlog = logging.getLogger("prefect_kernel.server.hypercorn")
    settings.backlog = config.backlog
    settings.graceful_timeout = config.graceful_timeout + 1.0  # the hub comes first
    settings.h11_max_incomplete_size = config.max_header_size
    settings.include_server_header = False
    settings.keep_alive_max_requests = sys.maxsize
    settings.keep_alive_timeout = config.keep_alive_timeout
    settings.websocket_max_message_size = config.websocket_max_message_size
    settings.websocket_ping_interval = config.websocket_ping_interval
    return settings


class Gate:
    """The application as Hypercorn calls it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Requests are known to the hub, so that it lets them finish, or cancels those that do not."""
        kind = scope["type"]
        if kind == "lifespan":
            await _lifespan(receive, send)
            return
        self.hub.watch(cast("asyncio.Task[None]", asyncio.current_task()))
        if kind == "http":
            exchange = _Exchange(self.hub, receive, send)
            if _framed_twice(scope):
                await exchange.refuse(400)
                return
            receive, send = exchange.receive, exchange.send
        await self.hub.app(scope, receive, send)


def _framed_twice(scope: Scope) -> bool:
    """Whether a request says in two ways where it ends: a proxy may have gone by the one that Hypercorn does not."""
    names = [name for name, _ in scope["headers"]]
    return b"transfer-encoding" in names and b"content-length" in names


class _Exchange:
    """One request and its response, with a limit on the time for which the body may stand still."""

    def __init__(self, hub: Hub, receive: Receive, send: Send) -> None:
        self._hub, self._receive, self._send = hub, receive, send
        self._complete = self._started = self._over = False

    async def receive(self) -> Message:
        """ASGI's receive: answers 408 in the place of the application when nothing more comes."""
        if self._over:
            return {"type": "http.disconnect"}
        if self._complete:
            message = await self._receive()
        else:
            try:
                async with asyncio.timeout(self._hub.config.body_timeout):
                    message = await self._receive()
            except TimeoutError:
                return await self._give_up()
            self._complete = not message.get("more_body")
        self._over = message["type"] == "http.disconnect"
        return message

    async def refuse(self, status: int) -> None:
        """The last answer on this connection."""
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body"})

    async def _give_up(self) -> Message:
        if not self._started:
            await self.refuse(408)
        self._over = True
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI's send; what comes after the end is dropped."""
        if self._over:
            return
        if message["type"] == "http.response.start":
            self._started = True
            if self._hub.stopping:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
        await self._send(message)


async def _lifespan(receive: Receive, send: Send) -> None:
    """The kernel starts and stops its parts itself."""
    while (message := await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": f"{message['type']}.complete"})
