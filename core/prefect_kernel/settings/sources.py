"""Where values come from: the environment, `.env`, `prefect.toml`, `pyproject.toml` and the active profile.

The order, and which of several names wins, are those of Prefect, oddities included: clients and server read the same
files and must understand them alike. pydantic-settings is not used: what it gives does not say where and under which
name a value was found, which `prefect-kernel settings` and the sentences about bad values need; it would read all files
once for each of forty groups; and it takes 20 ms to import where a start has 700.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import SettingsError

Kind = Literal["override", "environment", "dotenv", "table", "profile"]

DEFAULT_PROFILE: dict[str, Any] = {"PREFECT_SERVER_EPHEMERAL_ENABLED": "true"}
"""What Prefect's built-in profile `ephemeral` holds; it is active when no profile is."""

TEST_MODE = (
    "PREFECT_TEST_MODE",
    "PREFECT_UNIT_TEST_MODE",
    "PREFECT_TESTING_UNIT_TEST_MODE",
    "PREFECT_TESTING_TEST_MODE",
)
"""With any of these in the environment (to whatever value), profiles are not read."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place, and what it says: by name (`values`), or as nested tables when `kind` is "table"."""

    label: str
    kind: Kind
    values: Mapping[str, Any]


@dataclass(slots=True)
class Sources:
    """All places, the one that wins first; `environ` is kept for what is derived from it."""

    environ: Mapping[str, str]
    ordered: list[Source] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_sources(environ: Mapping[str, str], cwd: Path, overrides: Mapping[str, Any] | None = None) -> Sources:
    """Read everything once. Raises SettingsError for a file that cannot be read."""
    sources = Sources(environ)
    if overrides:
        sources.ordered.append(Source("override", "override", dict(overrides)))
    sources.ordered.append(Source("environment", "environment", {name.upper(): v for name, v in environ.items()}))
    dotenv = _read_dotenv(cwd / ".env", environ)
    if dotenv:
        sources.ordered.append(Source(".env", "dotenv", {name.upper(): v for name, v in dotenv.items()}))
    own = read_toml(cwd / "prefect.toml")
    shared = read_toml(cwd / "pyproject.toml")
    shared = _table(_table(shared, "tool"), "prefect")
    for label, table in (("prefect.toml", own), ("pyproject.toml", shared)):
        if table:
            sources.ordered.append(Source(label, "table", table))
    if not any(environ.get(name) for name in TEST_MODE):
        path = _profiles_path(environ, dotenv, own, shared)
        profile, values = _active_profile(None if path is None else cwd / path, environ, sources.warnings)
        sources.ordered.append(Source(f"profile {profile}", "profile", values))
    return sources


# ---------------------------------------------------------------- files
def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from error


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; nothing when there is no such file."""
    text = _read_text(path)
    if text is None:
        return {}
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error


def _table(table: dict[str, Any], key: str) -> dict[str, Any]:
    inner = table.get(key, {})
    return inner if isinstance(inner, dict) else {}


def _read_dotenv(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    text = _read_text(path)
    if text is None:
        return {}
    from io import StringIO

    from dotenv import dotenv_values
    from dotenv.variables import parse_variables

    values: dict[str, str] = {}
    for name, raw in dotenv_values(stream=StringIO(text), interpolate=False).items():
        if raw is not None:  # `NAME` without `=` says nothing
            known = {**environ, **values}
            values[name] = "".join(atom.resolve(known) for atom in parse_variables(raw))
    return values


# ---------------------------------------------------------------- profiles
def _profiles_path(
    environ: Mapping[str, str], dotenv: Mapping[str, str], own: Mapping[str, Any], shared: Mapping[str, Any]
) -> Path | None:
    """Where the profiles are. A home directory that only a file names does not move them, as in Prefect."""
    named = (
        environ.get("PREFECT_PROFILES_PATH")
        or dotenv.get("PREFECT_PROFILES_PATH")
        or own.get("profiles_path")
        or shared.get("profiles_path")
    )
    if named:
        return Path(str(named))
    if environ.get("PREFECT_HOME"):
        return Path(environ["PREFECT_HOME"], "profiles.toml")
    if environ.get("HOME"):
        return Path(environ["HOME"], ".prefect", "profiles.toml")
    try:
        return Path.home() / ".prefect" / "profiles.toml"
    except RuntimeError:  # nobody knows where that is; `derive` says so if it matters
        return None


def _active_profile(
    path: Path | None, environ: Mapping[str, str], warnings: list[str]
) -> tuple[str, Mapping[str, Any]]:
    content = read_toml(path) if path is not None else {}
    wanted = environ.get("PREFECT_PROFILE") or content.get("active")
    profiles = _table(content, "profiles")
    if wanted and isinstance(profiles.get(wanted), dict):
        return str(wanted), profiles[wanted]
    if wanted and wanted != "ephemeral":
        where = "PREFECT_PROFILE" if environ.get("PREFECT_PROFILE") else f"`active` in {path}"
        warnings.append(f"There is no profile {wanted!r}, which {where} names; Prefect's default profile is used.")
    return "ephemeral", DEFAULT_PROFILE
