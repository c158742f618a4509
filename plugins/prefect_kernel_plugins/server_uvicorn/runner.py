"""uvicorn, run inside the kernel's own event loop, with the kernel's connection class as its `http` protocol."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from prefect_kernel.errors import ServerError
from prefect_kernel.ports.server import ASGIApp, ReadyCallback, ServeConfig, addresses, open_sockets
from prefect_kernel_plugins.server_common.http1 import HTTPConnection
from prefect_kernel_plugins.server_common.hub import Hub


class UvicornRunner:
    """See `ServerRunner`."""

    name = "uvicorn"

    async def serve(self, app: ASGIApp, config: ServeConfig, ready: ReadyCallback, stop: asyncio.Event) -> None:
        """See `ServerRunner.serve`."""
        try:
            import uvicorn
        except ImportError as error:
            raise ServerError("uvicorn is not installed: run `pip install 'prefect-kernel[fast]'`.") from error
        hub = Hub(app, config, asyncio.get_running_loop())

        def connection(**_: Any) -> HTTPConnection:
            return HTTPConnection(hub)

        settings = uvicorn.Config(
            cast(Any, app),
            http=cast(Any, connection),
            ws="none",  # connections hand WebSockets over themselves
            lifespan="off",
            log_config=None,
            access_log=False,
            backlog=config.backlog,
        )
        settings.load()
        server = uvicorn.Server(settings)
        server.lifespan = settings.lifespan_class(settings)
        sockets = open_sockets(config)
        await server.startup(sockets)
        ready(addresses(sockets))
        try:
            await stop.wait()
        finally:
            for listener in server.servers:
                listener.close()
            await hub.shutdown()
            await server.shutdown(sockets)
