"""Named API keys, and users with roles: ways to get in that are kept in the database. Off unless settings turn them on.

Parts: `tables`, `queries` (statements and units), `passwords` (slow hashes of what people choose), `keys` and `users`
(the two authenticators), `routes` (`/kernel/keys`, `/kernel/users`, `/kernel/me`), `commands` (`prefect-kernel keys`,
`prefect-kernel users`, which work on the database itself: the first of them has to come from somewhere).

It cannot be switched off by leaving the plugin out, since a server that asks for keys must not let everybody in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prefect_kernel import hookimpl, web
from prefect_kernel.settings import Setting

if TYPE_CHECKING:
    import click

KEYS, USERS = "PREFECT_KERNEL_API_KEYS", "PREFECT_KERNEL_USERS"

NAMED = (KEYS, USERS, "PREFECT_KERNEL_OIDC_ISSUER", "PREFECT_KERNEL_TRUSTED_HEADER_USER")
"""Settings with which callers have names and roles, and may ask for theirs."""


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return [
        Setting(KEYS, bool, False, "Whether named API keys let clients in, and all others are refused."),
        Setting(USERS, bool, False, "Whether users with a password and a role are let in, and all others are refused."),
    ]


@hookimpl
def kernel_authenticators(settings: Any) -> Iterable[web.Authenticator]:
    ways: list[web.Authenticator] = []
    if settings.plugin[KEYS]:
        from .keys import ApiKeys

        ways.append(ApiKeys())
    if settings.plugin[USERS]:
        from .users import Users

        ways.append(Users())
    return ways


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    groups: list[web.Group] = []
    if any(settings.plugin.get(way) for way in NAMED):
        from .routes import keys, me, users

        groups.append(me)
        if settings.plugin[KEYS]:
            groups.append(keys)
        if settings.plugin[USERS]:
            groups.append(users)
    return groups


@hookimpl
def kernel_commands() -> Iterable[click.Command]:
    from .commands import keys, users

    return [keys, users]
