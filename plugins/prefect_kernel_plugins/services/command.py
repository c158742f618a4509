"""`prefect-kernel services`."""

from __future__ import annotations

import click

from prefect_kernel.app import Kernel
from prefect_kernel.cli.background import start as start_in_background
from prefect_kernel.cli.background import stop as stop_in_background
from prefect_kernel.cli.services import run_services
from prefect_kernel.cli.setup import prepare, table


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
            with kernel.plugins.blaming(plugin, f"service {kind.name} cannot be listed"):
                wanted = "enabled" if kind.enabled(kernel.settings) else "disabled"
                rows.append((kind.name, wanted, f"{kind.every(kernel.settings):g} s", kind.setting or "-"))
    table(sorted(rows))


@services.command()
@click.option("--background/--no-background", "-b", default=False, help="Return when they run.")
def start(background: bool) -> None:
    """Run the services alone, until SIGINT or SIGTERM, for servers that were started with --no-services."""
    if background:
        start_in_background("services", ["services", "start"])
        return
    run_services()


@services.command()
def stop() -> None:
    """Stop services that run in the background."""
    stop_in_background("services")
