"""The command line. What a command needs is imported when it runs, so that each starts fast."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from ..errors import KernelError

CONTEXT = {"help_option_names": ["-h", "--help"]}


def _parts(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Options that may be repeated, and hold several names separated by commas."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def plugin_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which plugins are loaded."""
    for option in (
        click.option("--no-autoload", is_flag=True, help="Leave installed plugins alone that --plugins does not name."),
        click.option("--disable", multiple=True, callback=_parts, metavar="NAME", help="Plugins not to load."),
        click.option(
            "--plugins",
            multiple=True,
            callback=_parts,
            metavar="NAME",
            help="Plugins that must be loaded: entry points, import paths or files.",
        ),
    ):
        command = option(command)
    return command


@click.group(context_settings=CONTEXT)
def cli() -> None:
    """A drop-in Prefect 3 server: a small kernel into which everything is loaded as a plugin."""


@cli.command()
def version() -> None:
    """Print the versions of the kernel, its plugin interface, and the Prefect that it stands in for."""
    from .. import API_VERSION, __version__
    from ..versions import PREFECT_API_VERSION, PREFECT_VERSION

    click.echo(f"prefect-kernel {__version__}")
    click.echo(f"plugin interface {API_VERSION}")
    click.echo(f"Prefect {PREFECT_VERSION} (API {PREFECT_API_VERSION})")


@cli.command()
@click.option("--host", help="Address to listen on; PREFECT_SERVER_API_HOST by default.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; PREFECT_SERVER_API_PORT by default.")
@click.option("--server", help="ASGI server: hypercorn, or with the extra `fast` uvicorn or granian.")
@click.option("--no-services", is_flag=True, help="Run no background services but those that requests depend on.")
@plugin_options
def serve(**options: Any) -> None:
    """Run the server."""
    from .serve import run

    run(**options)


def main() -> None:
    """Run a command; errors are a sentence on stderr and exit code 1, never a traceback."""
    try:
        cli(prog_name="prefect-kernel")
    except KernelError as error:
        for line in error.message.splitlines():
            click.echo(f"Error: {line}", err=True)
        sys.exit(1)
