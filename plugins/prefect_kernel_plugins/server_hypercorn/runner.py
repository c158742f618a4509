"""Hypercorn, run inside the kernel's own event loop."""

from __future__ import annotations

import asyncio

from prefect_kernel.ports.server import ASGIApp, ReadyCallback, ServeConfig, addresses, open_sockets
from prefect_kernel_plugins.server_common.http1 import HTTPConnection
from prefect_kernel_plugins.server_common.hub import Hub


class HypercornRunner:
    """See `ServerRunner`."""

    name = "hypercorn"

    async def serve(self, app: ASGIApp, config: ServeConfig, ready: ReadyCallback, stop: asyncio.Event) -> None:
        """See `ServerRunner.serve`."""
        loop = asyncio.get_running_loop()
        sockets = open_sockets(config)
        hub = Hub(app, config, loop)
        servers = [
            await loop.create_server(lambda: HTTPConnection(hub), sock=sock, backlog=config.backlog) for sock in sockets
        ]
        ready(addresses(sockets))
        try:
            await stop.wait()
        finally:
            for server in servers:
                server.close()
            await hub.shutdown()
