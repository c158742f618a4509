"""`prefect-kernel services`."""

from __future__ import annotations

import asyncio

import click

from prefect_kernel.app import Kernel
from prefect_kernel.cli.setup import prepare, table
from prefect_kernel.ports.server import loop_factory, stop_on_signals


@click.group()
def services() -> None:
    """Background services."""


@services.command("ls")
def list_services() -> None:
    """List services, whether the settings want them, and the setting that says so."""
    kernel = Kernel(prepare())
    rows = []
    for plugin in kernel.plugins.loaded:
        for kind in plugin.declared.get("kernel_services", ()):
            wanted = "enabled" if kind.enabled(kernel.settings) else "disabled"
            rows.append((kind.name, wanted, f"{kind.every(kernel.settings):g} s", kind.setting or "-"))
    table(sorted(rows))


@services.command()
def start() -> None:
    """Run the services alone, in the foreground, for servers that were started with --no-services."""

    async def run() -> None:
        stop = asyncio.Event()
        stop_on_signals(stop)
        kernel = Kernel(prepare())
        await kernel.open(services=True)
        try:
            click.echo(f"Services  {', '.join(service.name for service in kernel.services())}")
            await stop.wait()
        finally:
            await kernel.close()

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run())
