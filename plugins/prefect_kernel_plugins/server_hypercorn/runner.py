"""The default server.

It behaves as Hypercorn does for HTTP/1.1 (random requests are compared in tests), but stock Hypercorn spends 150 µs of
CPU and more on a small request, nearly all of it in its HTTP/1.1 classes: h11, and the tasks, queues and event objects
of each request. The kernel's own connection class takes their place, and spends less than a sixth of that. HTTP/2,
which Prefect's clients do not speak to a server without TLS, is not offered.
"""

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
