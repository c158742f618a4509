"""Hypercorn, run inside the kernel's own event loop."""

from __future__ import annotations

import asyncio
import logging

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.typing import LifespanState

from prefect_kernel.ports.server import ASGIApp, ReadyCallback, ServeConfig, addresses, open_sockets


def hypercorn_config(config: ServeConfig) -> Config:
    """Hypercorn's settings for ours."""
    theirs = Config()
    theirs.accesslog = None
    theirs.errorlog = logging.getLogger("prefect_kernel.server")
    theirs.alpn_protocols = ["http/1.1"]
    theirs.backlog = config.backlog
    theirs.graceful_timeout = config.graceful_timeout
    theirs.h11_max_incomplete_size = config.max_header_size
    theirs.include_server_header = False
    theirs.keep_alive_timeout = config.keep_alive_timeout
    theirs.keep_alive_max_requests = 2**63  # the limit only guards servers that leak per connection
    theirs.websocket_max_message_size = config.websocket_max_message_size
    theirs.websocket_ping_interval = config.websocket_ping_interval
    return theirs


class HypercornRunner:
    """Serves with Hypercorn's connection classes; see `ServerRunner`."""

    name = "hypercorn"

    async def serve(self, app: ASGIApp, config: ServeConfig, ready: ReadyCallback, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        sockets = open_sockets(config)
        settings = hypercorn_config(config)
        context = WorkerContext(None)
        wrapped = ASGIWrapper(app)  # type: ignore[arg-type]
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await TCPServer(wrapped, loop, settings, context, LifespanState({}), reader, writer)

        servers = [await asyncio.start_server(connected, sock=sock, backlog=config.backlog) for sock in sockets]
        ready(addresses(sockets))
        await stop.wait()
        for server in servers:
            server.close()
        await context.terminated.set()
        if tasks:
            _, late = await asyncio.wait(set(tasks), timeout=config.graceful_timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
