"""`prefect-kernel server …` and `config view`: the server's commands in Prefect's words, for charts and scripts.

With these the commands of images, charts and compose files that say `prefect server start …` work unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..errors import KernelError

Command = Callable[..., Any]


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_background = click.option("--background/--no-background", "-b", default=False, help="Return when it runs.")


@click.group()
def server() -> None:
    """Run and look after the server, in Prefect's words."""


@server.command()
@_options(
    click.option("--host", help="Address to listen on. [PREFECT_SERVER_API_HOST]"),
    click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. [PREFECT_SERVER_API_PORT]"),
    click.option("--keep-alive-timeout", type=int, help="[PREFECT_SERVER_API_KEEPALIVE_TIMEOUT]"),
    click.option("--log-level", help="[PREFECT_SERVER_LOGGING_LEVEL]"),
    click.option("--scheduler/--no-scheduler", default=None, help="[PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED]"),
    click.option(
        "--analytics-on/--analytics-off", "analytics", default=None, help="[PREFECT_SERVER_ANALYTICS_ENABLED]"
    ),
    click.option("--late-runs/--no-late-runs", default=None, help="[PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED]"),
    click.option("--ui/--no-ui", default=None, help="[PREFECT_SERVER_UI_ENABLED]"),
    click.option("--no-services", is_flag=True, help="Run no background services but those that requests depend on."),
    _background,
    click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that serve."),
)
def start(background: bool, **options: Any) -> None:
    """Start the server; the same as `serve`."""
    if background:
        from .background import start as start_in_background

        start_in_background("server", _again(("server", "start"), options))
        return
    import gc

    gc.disable()  # as `serve` does
    from .serve import run

    run(
        options["host"],
        options["port"],
        options["workers"],
        None,
        options["no_services"],
        more={
            "server.api.keepalive_timeout": options["keep_alive_timeout"],
            "server.logging_level": options["log_level"] and options["log_level"].upper(),
            "server.services.scheduler.enabled": options["scheduler"],
            "server.analytics_enabled": options["analytics"],
            "server.services.late_runs.enabled": options["late_runs"],
            "server.ui.enabled": options["ui"],
        },
    )


def _again(command: tuple[str, ...], options: dict[str, Any]) -> list[str]:
    """The arguments that say the same on another command line."""
    words = list(command)
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if name == "analytics":
            words += [] if value is None else ["--analytics-on" if value else "--analytics-off"]
        elif name == "no_services":
            words += [option] if value else []
        elif isinstance(value, bool):
            words.append(option if value else "--no-" + option.removeprefix("--"))
        elif value is not None:
            words += [option, str(value)]
    return words


@server.command()
def stop() -> None:
    """Stop a server that runs in the background."""
    from .background import stop as stop_it

    stop_it("server")


@server.command()
@click.option("--wait/--no-wait", default=False, help="Wait until the server answers.")
@click.option("--timeout", "-t", type=int, default=0, help="Seconds to wait at most; 0 for ever.")
@click.option("--output", "-o", help="`json` for a JSON object.")
def status(wait: bool, timeout: int, output: str | None) -> None:
    """Say whether the server answers; exit code 1 when it does not."""
    if output is not None and output.lower() != "json":
        raise KernelError("Only 'json' output format is supported.")
    from .background import show_status

    show_status(wait=wait, timeout=timeout, as_json=output is not None)


# ---------------------------------------------------------------- database
@server.group()
def database() -> None:
    """Look after the database."""


def _asked(yes: bool, question: str) -> None:
    if not yes:
        click.confirm(question, abort=True)


@database.command()
@_yes
@click.option("--revision", "-r", default="head", help="Only `head` can be reached.")
@click.option("--dry-run", is_flag=True, help="Say what the database is, and change nothing.")
def upgrade(yes: bool, revision: str, dry_run: bool) -> None:
    """Create the schema, or bring it up to date."""
    from .database import run

    if revision not in ("head", "heads"):
        raise KernelError(f"The schema can be brought up to date (head), not to the revision {revision}.")
    if dry_run:
        run("check")
        return
    _asked(yes, "Are you sure you want to upgrade the database?")
    run("upgrade")


@database.command()
@_yes
@click.option("--revision", "-r", default="-1")
@click.option("--dry-run", is_flag=True)
def downgrade(yes: bool, revision: str, dry_run: bool) -> None:
    """Not possible: older schemas are made by older versions of Prefect."""
    raise KernelError(
        "The schema cannot be taken back. It is that of Prefect 3.8.8, whose own "
        "`prefect server database downgrade` can take it back further and leaves the kernel's own tables alone."
    )


@database.command()
@_yes
def reset(yes: bool) -> None:
    """Delete everything, and make the schema anew."""
    from .database import run

    _asked(yes, "Are you sure you want to delete everything in the database and make it anew?")
    run("reset")


@database.command()
@click.argument("revision", required=False)
def stamp(revision: str | None) -> None:
    """Write down that the schema is up to date, without changing it."""
    from .database import run

    if revision not in (None, "head", "heads"):
        raise KernelError(f"Only the newest revision can be written down (head), not {revision}.")
    run("stamp")


# ---------------------------------------------------------------- services
@server.group()
def services() -> None:
    """Run background services apart from the server."""


@services.command("ls")
@click.option("--output", "-o", help="`json` for a JSON array.")
def list_services(output: str | None) -> None:
    """List services, whether they are enabled, and what they do."""
    from .services import show_services

    show_services(as_json=output is not None)


@services.command("start")
@_background
def start_services(background: bool) -> None:
    """Run all enabled services, without serving requests, until SIGINT or SIGTERM."""
    if background:
        from .background import start as start_in_background

        start_in_background("services", ["server", "services", "start"])
        return
    from .services import run_services

    run_services()


@services.command("stop")
def stop_services() -> None:
    """Stop services that run in the background."""
    from .background import stop as stop_it

    stop_it("services")


services.add_command(list_services, "list")
services.add_command(start_services, "enable")
services.add_command(stop_services, "disable")


# ---------------------------------------------------------------- config
@click.group()
def config() -> None:
    """See the settings, in Prefect's words."""


@config.command()
@click.option("--show-defaults/--hide-defaults", default=False, help="Also what nobody has set.")
@click.option("--show-sources/--hide-sources", default=True, help="Where each value is from.")
@click.option("--show-secrets/--hide-secrets", default=False, help="Not masked.")
def view(show_defaults: bool, show_sources: bool, show_secrets: bool) -> None:
    """Show the settings that somebody has set."""
    from .setup import prepare

    if show_secrets:
        raise KernelError("Secrets are not shown; look for them where they are set.")
    for row in prepare().describe():
        if show_defaults or row.source != "default":
            source = f" (from {row.source})" if show_sources else ""
            click.echo(f"{row.name}='{row.value or ''}'{source}")
