"""Settings as a table, for people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .fields import declarations

if TYPE_CHECKING:
    from .plugin import PluginSettings
    from .resolve import Resolution
    from .root import Settings

MASK = "**********"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting, its value in words, and where that came from."""

    name: str
    value: str
    source: str
    doc: str


def shown(value: Any) -> str:
    """A value as one would write it into the environment."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return str(int(seconds) if seconds.is_integer() else seconds)
    if isinstance(value, set | frozenset | tuple | list):
        return ",".join(sorted(map(str, value)) if isinstance(value, set | frozenset) else map(str, value))
    if isinstance(value, dict):
        return json.dumps({key: shown(inner) for key, inner in value.items()})
    return str(value)


def describe(settings: Settings, resolution: Resolution, plugin: PluginSettings) -> list[Row]:
    """One row per setting, the kernel's and the plugins' last."""
    rows = []
    for path, declared in declarations(type(settings)).items():
        value: Any = settings
        for key in path:
            value = getattr(value, key)
        if path == ("server", "database", "connection_url"):
            text = settings.shown_database_url
        else:
            text = MASK if declared.secret and value is not None else shown(value)
        found = resolution.found.get(path)
        rows.append(Row(declared.name, text, "default" if found is None else found.source, declared.doc))
    for name, value in plugin.items():
        setting = plugin.declared[name][1]
        text = MASK if setting.secret and value is not None else shown(value)
        rows.append(Row(name, text, plugin.found[name].source if name in plugin.found else "default", setting.help))
    return rows
