"""`prefect-kernel keys` and `prefect-kernel users`: on the database itself, whether a server runs or not."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from prefect_kernel.app import Kernel
from prefect_kernel.cli.setup import prepare, table
from prefect_kernel.errors import KernelError, UniqueViolation
from prefect_kernel.ports.server import loop_factory
from prefect_kernel.sql import Unit

from ..audit import WHAT as AUDIT
from . import KEYS, USERS

T = TypeVar("T")

_UNITS = {"m": 60, "h": 3600, "d": 86_400}
PAGE = 200


def _on_database(work: Callable[[Any, Kernel], Awaitable[T]]) -> tuple[Kernel, T]:
    kernel = Kernel(prepare())

    async def run() -> T:
        async with AsyncExitStack() as stack:
            await kernel.open_storage(stack)
            return await work(kernel.storage, kernel)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return kernel, runner.run(run())


def _change(name: str, unit: Callable[..., Unit[T]], *arguments: Any) -> tuple[Kernel, T]:
    """Change something; where changes are audited, this one is, too."""
    from ..audit.queries import by_command, with_row  # not when commands are declared, which each start does

    async def work(storage: Any, kernel: Kernel) -> T:
        if kernel.settings.plugin[AUDIT] == "off":
            return await storage.write(unit, *arguments)
        row = by_command(unit.__name__, name, datetime.now(UTC))
        result: T = (await storage.write(with_row, row, unit, arguments, {}))[0]
        return result

    return _on_database(work)


def _named(name: str) -> str:
    from .routes import NAME

    if not re.match(NAME, name) or len(name) > 200:
        raise click.BadParameter("a name is letters, digits and . _ @ + -, and begins with a letter or a digit")
    return name


def _expiry(text: str | None, now: datetime) -> datetime | None:
    """`90d`, `12h`, `30m`, or an ISO 8601 time."""
    if text is None:
        return None
    if (short := re.fullmatch(r"(\d{1,6})([mhd])", text)) is not None:
        return now + timedelta(seconds=int(short[1]) * _UNITS[short[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a time (2030-01-31T12:00Z) nor a while (90d, 12h, 30m)"
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    if moment <= now:
        raise click.BadParameter(f"{text!r} is in the past")
    return moment


async def _all(storage: Any, unit: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := await storage.read(unit, PAGE, len(found)):
        found += page
    return found


def _hint(kernel: Kernel, setting: str) -> None:
    if not kernel.settings.plugin[setting]:
        click.echo(f"Servers do not ask for it yet: set {setting}=true.", err=True)


# ---------------------------------------------------------------- keys
@click.group()
def keys() -> None:
    """API keys, by which clients are let in."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["read", "run", "edit", "admin"]),
    default="run",
    show_default=True,
    help="What it allows.",
)
@click.option("--expires", metavar="WHEN", help="When it ends: 90d, 12h, 30m, or a time. [never]")
def create_key(name: str, scope: str, expires: str | None) -> None:
    """Make a key and print it; it cannot be shown again."""
    from . import queries
    from .keys import digest_of, hint_of, new_token

    now, token = datetime.now(UTC), new_token()
    row = (_named(name), digest_of(token), hint_of(token), scope, _expiry(expires, now), "command line", now)
    try:
        kernel, _ = _change(name, queries.create_key, *row)
    except UniqueViolation:
        raise KernelError(f"There is an API key named {name!r} already.") from None
    click.echo(token)
    click.echo(
        f"Clients send it with PREFECT_API_AUTH_STRING={token} (scope {scope}). It is not shown again.", err=True
    )
    _hint(kernel, KEYS)


@keys.command("list")
def list_keys() -> None:
    """List keys, never the secret part."""
    from . import queries

    _, found = _on_database(lambda storage, _: _all(storage, queries.keys))
    now = datetime.now(UTC)
    rows = []
    for key in found:
        expires = "never" if key["expires"] is None else key["expires"].isoformat(timespec="seconds")
        ended = " (expired)" if key["expires"] is not None and key["expires"] <= now else ""
        rows.append(
            (
                key["name"],
                key["scope"],
                key["hint"] + "…",
                key["created"].isoformat(timespec="seconds"),
                expires + ended,
            )
        )
    table([("NAME", "SCOPE", "KEY", "CREATED", "EXPIRES"), *rows])


@keys.command("revoke")
@click.argument("name")
def revoke_key(name: str) -> None:
    """Take a key away; servers refuse it within seconds."""
    from . import queries

    _, gone = _change(name, queries.delete_key, name)
    if not gone:
        raise KernelError(f"There is no API key named {name!r}.")
    click.echo(f"Revoked {name}.")


# ---------------------------------------------------------------- users
_ROLE = click.Choice(["viewer", "runner", "editor", "admin"])
_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


def _password(stdin: bool) -> str:
    if stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not 8 <= len(password) <= 1024:
        raise click.UsageError("A password has 8 to 1024 characters.")
    return password


@click.group()
def users() -> None:
    """Users, who log in with a password and have a role."""


@users.command("create")
@click.argument("name")
@click.option("--role", type=_ROLE, default="viewer", show_default=True)
@_STDIN
def create_user(name: str, role: str, password_stdin: bool) -> None:
    """Make a user."""
    from . import queries
    from .passwords import hashed

    kept = hashed(_password(password_stdin))
    try:
        kernel, _ = _change(name, queries.create_user, _named(name), kept, role, datetime.now(UTC))
    except UniqueViolation:
        raise KernelError(f"There is a user named {name!r} already.") from None
    click.echo(f"Created {name}, {role}.")
    _hint(kernel, USERS)


@users.command("list")
def list_users() -> None:
    """List users."""
    from . import queries

    _, found = _on_database(lambda storage, _: _all(storage, queries.users))
    rows = [
        (one["name"], one["role"], "yes" if one["enabled"] else "no", one["created"].isoformat(timespec="seconds"))
        for one in found
    ]
    table([("NAME", "ROLE", "ENABLED", "CREATED"), *rows])


@users.command("change")
@click.argument("name")
@click.option("--role", type=_ROLE)
@click.option("--enable/--disable", "enabled", default=None, help="Whether the user is let in.")
@click.option("--password", "ask", is_flag=True, help="Ask for a new password.")
@_STDIN
def change_user(name: str, role: str | None, enabled: bool | None, ask: bool, password_stdin: bool) -> None:
    """Change a user's role or password, or whether they are let in; servers know within seconds."""
    from . import queries
    from .passwords import hashed

    changes: dict[str, Any] = {key: value for key, value in (("role", role), ("enabled", enabled)) if value is not None}
    if ask or password_stdin:
        changes["password"] = hashed(_password(password_stdin))
    if not changes:
        raise click.UsageError("Say what to change: --role, --enable, --disable, --password or --password-stdin.")
    _, row = _change(name, queries.change_user, name, changes, datetime.now(UTC))
    if row is None:
        raise KernelError(f"There is no user named {name!r}.")
    click.echo(f"Changed {name}: {row['role']}, {'enabled' if row['enabled'] else 'disabled'}.")


@users.command("delete")
@click.argument("name")
def delete_user(name: str) -> None:
    """Delete a user."""
    from . import queries

    _, gone = _change(name, queries.delete_user, name)
    if not gone:
        raise KernelError(f"There is no user named {name!r}.")
    click.echo(f"Deleted {name}.")
