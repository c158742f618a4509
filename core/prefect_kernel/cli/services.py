"""`prefect-kernel server services`: background services apart from the server."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import click
import orjson

from ..app import Kernel
from ..ports.server import loop_factory, stop_on_signals
from ..services import Service
from .setup import prepare, table


def _kinds(kernel: Kernel) -> Iterator[type[Service]]:
    for plugin in kernel.plugins.loaded:
        yield from plugin.declared.get("kernel_services", ())


def show_services(*, as_json: bool) -> None:
    """List services."""
    kernel = Kernel(prepare())
    rows: list[dict[str, Any]] = [
        {
            "name": kind.name,
            "enabled": kind.enabled(kernel.settings),
            "description": (inspect.getdoc(kind) or "").split("\n", 1)[0],
        }
        for kind in _kinds(kernel)
    ]
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
            click.echo(f"Services  {names}")
            await stop.wait()
        finally:
            await kernel.close()

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(work())
