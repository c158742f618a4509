"""Reading all settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from ..errors import SettingsError
from .derive import derive
from .names import problems_with
from .resolve import build, resolve
from .root import Settings
from .sources import read_sources


def load(
    environ: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings that the environment and the files say, the process's own unless others are given.

    `overrides` win over everything; their keys are names (`PREFECT_SERVER_API_PORT`) or paths (`server.api.port`).
    Raises SettingsError with one sentence per problem. What plugins declare is looked up by `Settings.adopt`.
    """
    environ = os.environ if environ is None else environ
    sources = read_sources(environ, Path.cwd() if cwd is None else Path(cwd), overrides)
    resolution = resolve(Settings, sources.ordered)
    problems: list[str] = []
    try:
        settings = derive(build(Settings, resolution), resolution.found, environ)
    except SettingsError as error:
        problems += error.message.split("\n")
    if resolution.unknown:  # otherwise nobody said anything about clients
        from .client import check

        resolution.unknown = check(resolution.unknown, sources.ordered, problems)
        problems += problems_with(resolution.unknown)
    if problems:
        raise SettingsError("\n".join(problems))
    sources.warnings += _unused_password(settings)
    settings.remember(sources, resolution)
    return settings


def _unused_password(settings: Settings) -> list[str]:
    password = settings.server.database.password
    secret = password.get_secret_value() if password is not None else ""
    url = settings.database_url
    if not secret or (not url.startswith("sqlite") and (secret in url or quote_plus(secret) in url)):
        return []
    return ["PREFECT_SERVER_DATABASE_PASSWORD is set, but the database URL has no place for it; it is not used."]
