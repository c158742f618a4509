"""`prefect-kernel serve`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import click

from ..app import Kernel
from ..ports.server import Address, ServeConfig, ServerRunner, loop_factory, stop_on_signals
from ..settings import Settings, load


def run(
    host: str | None,
    port: int | None,
    server: str | None,
    no_services: bool,
    plugins: Sequence[str],
    disable: Sequence[str],
    no_autoload: bool,
) -> None:
    """Serve until told to stop."""
    given = {
        "server.api.host": host,
        "server.api.port": port,
        "kernel.server": server,
    }
    settings = load(overrides={name: value for name, value in given.items() if value is not None})
    logging.basicConfig(
        level=settings.server.logging_level, format="%(asctime)s.%(msecs)03d | %(levelname)-7s | %(name)s - %(message)s"
    )
    for warning in settings.warnings:
        click.echo(f"Warning: {warning}", err=True)
    kernel = Kernel(settings)
    runner = kernel.server_runner(settings.kernel.server)
    with asyncio.Runner(loop_factory=loop_factory()) as loop:
        loop.run(_serve(kernel, runner, serve_config(settings), services=not no_services))


def serve_config(settings: Settings) -> ServeConfig:
    """The part of the settings that the ASGI server needs."""
    api = settings.server.api
    return ServeConfig(
        host=api.host,
        port=api.port,
        keep_alive_timeout=float(api.keepalive_timeout),
        max_body_size=settings.kernel.max_body_bytes,
        websocket_ping_interval=api.websocket_ping_interval,
        websocket_ping_timeout=api.websocket_ping_timeout,
    )


async def _serve(kernel: Kernel, runner: ServerRunner, config: ServeConfig, *, services: bool) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    await kernel.open(services=services)
    try:
        await runner.serve(kernel, config, lambda where: announce(kernel, where), stop)
    finally:
        await kernel.close()


def announce(kernel: Kernel, addresses: Sequence[Address]) -> None:
    """Say where the API is, which database it is on, and which plugins it has."""
    for address in addresses:
        click.echo(f"API       {address.url}{kernel.api}")
    click.echo(f"Database  {kernel.settings.shown_database_url}")
    click.echo(f"Plugins   {', '.join(plugin.name for plugin in kernel.plugins.loaded)}")
