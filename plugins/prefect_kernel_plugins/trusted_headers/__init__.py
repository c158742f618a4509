"""Callers whom a reverse proxy has authenticated, and names in headers: oauth2-proxy, Caddy, nginx, Authelia, …

On as soon as PREFECT_KERNEL_TRUSTED_HEADER_USER names a header. Only peers in PREFECT_KERNEL_TRUSTED_HEADER_NETWORKS
are believed. It cannot be switched off by leaving the plugin out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web
from prefect_kernel.errors import SettingsError
from prefect_kernel.settings import Setting
from prefect_kernel.settings.fields import Names

from ..common.roles import role_settings

PREFIX = "PREFECT_KERNEL_TRUSTED_HEADER_"
USER, ROLE, NETWORKS = PREFIX + "USER", PREFIX + "ROLE", PREFIX + "NETWORKS"
DEFAULT_ROLE, ROLES = PREFIX + "DEFAULT_ROLE", PREFIX + "ROLES"
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return [
        Setting(
            USER,
            str,
            "",
            "Header in which a reverse proxy names who it has authenticated, such as `X-Forwarded-User`. Unset, no"
            " header lets anybody in.",
        ),
        Setting(
            NETWORKS,
            Names,
            (),
            "Addresses and networks of the proxies that are believed about it, separated by commas; needed with it.",
        ),
        Setting(
            ROLE,
            str,
            "",
            "Header in which the proxy gives roles or groups, separated by commas, such as `X-Forwarded-Groups`.",
        ),
        *role_settings(ROLES, DEFAULT_ROLE, "viewer"),
    ]


@hookimpl
def kernel_authenticators(settings: Any) -> Iterable[web.Authenticator]:
    values = settings.plugin
    if not values[USER]:
        return []
    if not values[NETWORKS]:
        raise SettingsError(
            f"{USER} is set: say in {NETWORKS} which proxies are believed, or anybody could name themselves."
        )
    for setting in (USER, ROLE):
        if values[setting] and _NAME.fullmatch(values[setting]) is None:
            raise SettingsError(f"{setting} = {values[setting]!r} is no name of a header, such as X-Forwarded-User.")
    from .headers import TrustedHeaders

    listed = settings.server.api.cors_allowed_origins
    return [
        TrustedHeaders(
            values[USER],
            values[ROLE],
            values[NETWORKS],
            values[ROLES],
            values[DEFAULT_ROLE],
            [origin.strip() for origin in listed.split(",")],
        )
    ]
