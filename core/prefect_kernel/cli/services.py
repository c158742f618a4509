"""`prefect-kernel server services`: background services apart from the server."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import click
import orjson

from ..app import Kernel
from ..ports.server import loop_factory, stop_on_signals
from .json_logs import said
from .setup import prepare, table


def show_services(*, as_json: bool) -> None:
    """List services."""
    kernel = Kernel(prepare())
    rows: list[dict[str, Any]] = []
    for plugin in kernel.plugins.loaded:
        for kind in plugin.declared.get("kernel_services", ()):
            with kernel.plugins.blaming(plugin, f"service {kind.name} cannot be listed"):
                enabled = bool(kind.enabled(kernel.settings))
            description = (inspect.getdoc(kind) or "").split("\n", 1)[0]
            rows.append({"name": kind.name, "enabled": enabled, "description": description})
    if as_json:
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    table([("NAME", "ENABLED", "WHAT IT DOES")] + [(r["name"], str(r["enabled"]), r["description"]) for r in rows])


def run_services() -> None:
    """Run services until told to stop."""
    kernel = Kernel(prepare())

    async def work() -> None:
        stop = asyncio.Event()
        stop_on_signals(stop)
        await kernel.open()
        try:
            names = ", ".join(service.name for service in kernel.services())
            click.echo(said(kernel.settings, [f"Services  {names}"])[0])
            await stop.wait()
        finally:
            await kernel.close()

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(work())
