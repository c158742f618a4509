"""The command line. What a command needs is imported when it runs, so that each starts fast."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from ..errors import KernelError
from .server import config, server


def _parts(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Options that may be repeated, and hold several names separated by commas."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def plugin_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which plugins are loaded; each has a twin in the environment."""
    for option in (
        click.option(
            "--no-autoload",
            is_flag=True,
            help="Leave alone what is installed and not named by --plugins. [PREFECT_KERNEL_NO_AUTOLOAD]",
        ),
        click.option(
            "--disable",
            multiple=True,
            callback=_parts,
            metavar="NAME,…",
            help="Plugins not to load. [PREFECT_KERNEL_DISABLE]",
        ),
        click.option(
            "--plugins",
            multiple=True,
            callback=_parts,
            metavar="NAME,…",
            help="Plugins that must be loaded: entry points, import paths or files. [PREFECT_KERNEL_PLUGINS]",
        ),
    ):
        command = option(command)
    return command


class _Commands(click.Group):
    """The kernel's own commands, and those that plugins bring."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        return own if own is not None else _of_plugins().get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        try:
            further = list(_of_plugins())
        except KernelError as error:  # help must come all the same
            click.echo(f"Warning: {error.message}", err=True)
            further = []
        return [*super().list_commands(ctx), *further]


def _of_plugins() -> dict[str, click.Command]:
    from ..plugins import Plugins
    from ..settings import load

    settings = load()
    plugins = Plugins.of(settings)
    plugins.check()
    plugins.call(settings, ["kernel_settings", "kernel_commands"])
    own = cli.commands
    return {str(command.name): command for _, command in plugins.collect("kernel_commands") if command.name not in own}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """A drop-in Prefect 3 server: a small kernel into which everything is loaded as a plugin."""


@cli.command()
def version() -> None:
    """Print the versions of the kernel, its plugin interface, and the Prefect that it stands in for."""
    from ..versions import API_VERSION, PREFECT_API_VERSION, PREFECT_VERSION, VERSION

    click.echo(f"prefect-kernel {VERSION}")
    click.echo(f"plugin interface {API_VERSION}")
    click.echo(f"Prefect {PREFECT_VERSION} (API {PREFECT_API_VERSION})")


@cli.command()
@click.option("--host", help="Address to listen on. [PREFECT_SERVER_API_HOST]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. [PREFECT_SERVER_API_PORT]")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that serve.")
@click.option("--server", help="ASGI server: native, hypercorn, or (extra `fast`) uvicorn. [PREFECT_KERNEL_SERVER]")
@click.option("--no-services", is_flag=True, help="Run no background services but those that requests depend on.")
@plugin_options
def serve(**options: Any) -> None:
    """Run the server, until SIGINT or SIGTERM."""
    gc.disable()  # until it serves: what is made before stays, and looking for garbage in it takes a tenth of the time
    from .serve import run

    run(**options)


@cli.command()
@plugin_options
def plugins(**options: Any) -> None:
    """List plugins: name, version, state, and why."""
    from .show import show_plugins

    show_plugins(**options)


@cli.command()
@click.argument("name", required=False)
@plugin_options
def policies(name: str | None, **options: Any) -> None:
    """List policies; with NAME the rules of one, in their final order, and who put each there."""
    from .show import show_policies

    show_policies(name, **options)


@cli.command()
@plugin_options
def routes(**options: Any) -> None:
    """List routes: method, path, plugin."""
    from .show import show_routes

    show_routes(**options)


@cli.command()
@plugin_options
def settings(**options: Any) -> None:
    """List settings: name, value, and where it came from; secrets are masked."""
    from .show import show_settings

    show_settings(**options)


@cli.group()
def database() -> None:
    """Look after the database's schema."""


def _database_command(action: str, help_: str) -> None:
    @database.command(action, help=help_)
    @plugin_options
    def command(**options: Any) -> None:
        from .database import run

        run(action, **options)


_database_command("upgrade", "Create the schema, or bring it and the tables of plugins up to date.")
_database_command("stamp", "Write down that the schema is up to date, without changing it.")
_database_command("check", "Say whether the database is ready, and change nothing; exit code 1 when it is not.")


@cli.command()
@click.option("--url", help="The server's public address, with its path. [PREFECT_API_URL]")
@plugin_options
def doctor(url: str | None, **options: Any) -> None:
    """Look for what is wrong with settings, database, broker, clock, plugins and the running server; say what to do."""
    from .doctor import run

    run(url, **options)


cli.add_command(server)
cli.add_command(config)


def main() -> None:
    """Run a command. Errors are a sentence on stderr and a non-zero exit, never a traceback."""
    try:
        cli(prog_name="prefect-kernel")
    except KernelError as error:
        _fail(error.message)
    except Exception as error:
        if os.environ.get("PREFECT_DEBUG_MODE", "").lower() in ("1", "true"):
            raise
        _fail(f"{type(error).__name__}: {error} (PREFECT_DEBUG_MODE=1 shows where this comes from.)")


def _fail(message: str) -> None:
    for line in message.splitlines():
        click.echo(f"Error: {line}", err=True)
    sys.exit(1)
