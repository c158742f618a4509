"""The default server: the kernel's own connection class, on listening sockets of asyncio.

It is there because of what a small request costs. Hypercorn spends 150 µs of CPU and more on one, nearly all of it in
its HTTP/1.1 classes: h11, and the tasks, queues and event objects of each request. This connection class spends less
than a sixth of that. Random requests are compared with Hypercorn in tests: both understand, and refuse, the same.
HTTP/2, which Prefect's clients do not speak to a server without TLS, is not offered.
"""

from __future__ import annotations

import asyncio

from prefect_kernel.ports.server import ASGIApp, ReadyCallback, ServeConfig, addresses, open_sockets
from prefect_kernel_plugins.server_common.http1 import HTTPConnection
from prefect_kernel_plugins.server_common.hub import Hub


class NativeRunner:
    """See `ServerRunner`."""

    name = "native"

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
