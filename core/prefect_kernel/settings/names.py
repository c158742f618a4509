"""Names in the sources that are no setting: which are somebody else's business, and which are mistakes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from ..errors import SettingsError
from .fields import declarations
from .resolve import Unknown

# Read by Prefect, by this server or by its tests, without being settings.
OTHERS = frozenset(
    {
        "PREFECT_PROFILE",
        "PREFECT_SERVER_ENCRYPTION_KEY",
        "PREFECT_API_TELEMETRY_ENVIRONMENT",
        "PREFECT_KERNEL_REFERENCE_PYTHON",
        "PREFECT_KERNEL_TEST_POSTGRES_URL",
        "PREFECT_KERNEL_TEST_REDIS_URL",
    }
)

OURS = ("PREFECT_SERVER_", "PREFECT_KERNEL_")
NO_CLIENTS = ("PREFECT_KERNEL_", "PREFECT_REDIS_")
"""How no setting of clients begins: the kernel's own, and those of the distribution that brings Prefect its Redis."""

# Kubernetes puts these into every container next to a Service named, say, prefect-server.
_SERVICE_LINK = re.compile(
    r"_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$"
)


def is_taken(name: str) -> bool:
    """Whether a setting has this name. Those of clients, which take long to make, all begin with other prefixes."""
    return name in server_names() or (not name.startswith(NO_CLIENTS) and name in every_name())


@cache
def server_names() -> Mapping[str, str]:
    """Every name of the settings of the server and the kernel, with the path it means."""
    from .root import Settings

    return _names_of(Settings)


def _names_of(root: Any) -> dict[str, str]:
    return {name: declared.dotted for declared in declarations(root).values() for name in declared.names}


@cache
def every_name() -> Mapping[str, str]:
    """Every name of every setting, Prefect's and the kernel's, with the path it means."""
    from .client import ClientSide

    return {**server_names(), **_names_of(ClientSide)}


def _is_path(unknown: Unknown) -> bool:
    return unknown.source.kind == "table" or "." in unknown.name


def _as_name(unknown: Unknown) -> str:
    if _is_path(unknown):
        return "PREFECT_" + unknown.name.upper().replace(".", "_")
    return unknown.name


def is_service_link(name: str, value: Any) -> bool:
    """Whether a variable is one that Kubernetes makes for a Service."""
    if name.endswith("_PORT") and isinstance(value, str) and re.match(r"(tcp|udp|sctp)://", value):
        return True
    return bool(_SERVICE_LINK.search(name))


def problems_with(unknown: Iterable[Unknown]) -> list[str]:
    """A sentence for each name that must be a mistake. Names of the kernel are left for `check_names`."""
    sentences = []
    for item in unknown:
        name = _as_name(item)
        if name in OTHERS or name.startswith(("PREFECT__", "PREFECT_KERNEL_")):
            continue
        if item.source.kind == "override" and not name.startswith("PREFECT_"):
            continue  # perhaps a plugin's
        if item.source.kind in ("environment", "dotenv") and is_service_link(name, item.value):
            continue
        close = _closest(name, every_name())
        if name.startswith(OURS) or item.source.kind == "override":
            sentences.append(_unknown(item, close or _similar(name, every_name())))
        elif close:
            sentences.append(_unknown(item, close))
    return sentences


def raise_for_unknown_kernel_names(unknown: Iterable[Unknown], declared: Mapping[str, Any]) -> None:
    """Raise SettingsError for names that begin as the kernel's do and that neither it nor a plugin declared."""
    paths = {setting.declaration.dotted for _, setting in declared.values()}
    sentences = []
    for item in unknown:
        name = _as_name(item)
        ours = name.startswith("PREFECT_KERNEL_") or item.source.kind == "override"
        if not ours or name in declared or item.name in paths or name in every_name():
            continue
        if item.name == "kernel.plugin" and isinstance(item.value, dict):
            wrong = [key for key in item.value if f"kernel.plugin.{key}" not in paths]
            sentences += [
                f"kernel.plugin.{key} (from {item.source.label}) is not declared by any plugin." for key in wrong
            ]
            continue
        if item.source.kind in ("environment", "dotenv") and is_service_link(name, item.value):
            continue
        candidates = {**every_name(), **declared}
        sentences.append(_unknown(item, _closest(name, candidates) or _similar(name, candidates), " nor a plugin's"))
    if sentences:
        raise SettingsError("\n".join(sentences))


def _unknown(item: Unknown, suggestion: str | None, more: str = "") -> str:
    if suggestion is not None and _is_path(item):
        suggestion = every_name().get(suggestion, suggestion)
    hint = f"; did you mean {suggestion}?" if suggestion else "."
    return f"{item.name} (from {item.source.label}) is not a setting of Prefect or the kernel{more}{hint}"


def _similar(name: str, names: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, names, n=1, cutoff=0.8)), None)


def _closest(name: str, names: Iterable[str]) -> str | None:
    """The known name that this one surely is a slip of: one letter wrong, in long names two."""
    allowed = 1 if len(name) < 24 else 2
    near = [(distance, known) for known in names if (distance := _distance(name, known, allowed)) <= allowed]
    return min(near)[1] if near else None


def _distance(one: str, other: str, limit: int) -> int:
    """How many letters to insert, drop, replace or swap with their neighbour; anything above the limit is limit + 1."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        above = rows[-1]
        row = [i]
        for j, another in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != another))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == another:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        if min(row) > limit and min(above) > limit:  # a swap reaches back two rows
            return limit + 1
        rows.append(row)
    return rows[-1][-1]
