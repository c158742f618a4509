"""`prefect-kernel serve`."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..app import Kernel
from ..errors import SettingsError
from ..ports.server import Address, ServeConfig, ServerRunner, loop_factory, open_sockets, stop_on_signals
from ..settings import Settings
from .json_logs import said
from .setup import prepare

_LEEWAY = 2.0
"""Seconds that an idle connection is kept beyond the setting.

Prefect's client drops idle connections after the same 5 s that are the setting's default, and a request that it sends
in the moment in which the server closes is lost. So the client is the one that closes, even on a crowded machine.
"""


def run(
    host: str | None,
    port: int | None,
    workers: int,
    server: str | None,
    no_services: bool,
    *,
    more: Mapping[str, Any] | None = None,
    **plugin_options: Any,
) -> None:
    """Serve until told to stop; `more` are further settings from the command line, or None."""
    given: dict[str, Any] = {"server.api.host": host, "server.api.port": port, "kernel.server": server, **(more or {})}
    settings = prepare(given=given, **plugin_options)
    kernel = Kernel(settings)
    runner = kernel.server_runner(settings.kernel.server)
    config = serve_config(settings)
    if workers == 1:
        _serve(kernel, runner, config, services=not no_services, announced=True)
        return

    from ..workers import run_workers

    if not kernel.storage_driver.shared:
        raise SettingsError(
            f"Several workers on {kernel.storage_driver.name} are slower than one, since only one can write at a time: "
            f"use one worker, or PostgreSQL."
        )
    if not kernel.lease_driver.shared:
        raise SettingsError(
            f"Several workers cannot share leases in memory: set PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE to one of "
            f"{', '.join(shared_leases(kernel))}, or use one worker."
        )
    if not kernel.broker_driver.shared:
        raise SettingsError(
            f"Several workers hear nothing of each other in memory: set PREFECT_SERVER_EVENTS_MESSAGING_BROKER to one "
            f"of {', '.join(shared_brokers(kernel))}, leave it out, or use one worker."
        )
    sockets = open_sockets(config)
    config = dataclasses.replace(config, sockets=sockets)

    def work(index: int) -> None:
        first = index == 0
        _serve(kernel, runner, config, services=first and not no_services, announced=first)

    gc.freeze()  # so that the collector of a worker does not copy pages that all share; there it is enabled again
    try:
        sys.exit(run_workers(workers, work))
    finally:
        for sock in sockets:
            sock.close()


def shared_leases(kernel: Kernel) -> list[str]:
    """Names of the lease storages that several processes can use."""
    return sorted(driver.name for _, driver in kernel.plugins.collect("kernel_lease_storages") if driver.shared)


def shared_brokers(kernel: Kernel) -> list[str]:
    """Names of the brokers that several processes can use."""
    return sorted(driver.name for _, driver in kernel.plugins.collect("kernel_brokers") if driver.shared)


def serve_config(settings: Settings) -> ServeConfig:
    """The part of the settings that the ASGI server needs."""
    api = settings.server.api
    return ServeConfig(
        host=api.host,
        port=api.port,
        keep_alive_timeout=api.keepalive_timeout + _LEEWAY,
        header_timeout=settings.kernel.header_timeout_seconds,
        max_header_size=settings.kernel.max_header_bytes,
        body_timeout=settings.kernel.body_timeout_seconds,
        max_body_size=settings.kernel.max_body_bytes,
        websocket_max_message_size=settings.kernel.max_websocket_bytes,
        websocket_ping_interval=api.websocket_ping_interval,
        websocket_ping_timeout=api.websocket_ping_timeout,
    )


def _serve(kernel: Kernel, runner: ServerRunner, config: ServeConfig, *, services: bool, announced: bool) -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as loop:
        loop.run(_serving(kernel, runner, config, services, announced))


async def _serving(kernel: Kernel, runner: ServerRunner, config: ServeConfig, services: bool, announced: bool) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    await kernel.open(services=services)
    gc.freeze()  # what was made until now stays until the end
    gc.enable()
    try:
        await runner.serve(kernel, config, lambda where: _announce(kernel, where) if announced else None, stop)
    finally:
        await kernel.close()


def _announce(kernel: Kernel, addresses: Sequence[Address]) -> None:
    """Say where the API is, which database it is on, and which plugins it has."""
    lines = [f"API       {address.url}{kernel.api}" for address in addresses]
    lines.append(f"Database  {kernel.settings.shown_database_url}")
    own = [plugin for plugin in kernel.plugins.loaded if plugin.trusted]
    others = [f"{plugin.name} {plugin.version}".rstrip() for plugin in kernel.plugins.loaded if not plugin.trusted]
    lines.append(f"Plugins   {', '.join([f'{len(own)} built in', *others])}")
    without = [plugin for plugin in kernel.plugins.known if plugin.state != "loaded"]
    lines += [f"          without {plugin.name}: {plugin.reason or plugin.state}" for plugin in without]
    for line in said(kernel.settings, lines):
        click.echo(line)
