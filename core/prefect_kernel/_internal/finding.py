"""Finding and importing plugins: built-ins, those named by entry point, import path or file, and installed ones."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "prefect_kernel"
"""The group of entry points that installed plugins declare."""


@dataclass(frozen=True)
class Source:
    """Where a plugin is, before it was imported."""

    name: str
    where: str
    """`built-in`, an entry point's value, an import path or a file."""
    load: Callable[[], Any]
    version: str = ""


def builtin(path: str, version: str) -> Source:
    """A built-in, known by the last part of its import path."""
    return Source(short(path), "built-in", lambda: importlib.import_module(path), version)


def given(plugin: Any, names: Iterable[str]) -> Source:
    """A plugin that is at hand as an object: a module, or anything with hook implementations."""
    name = getattr(plugin, "__name__", None) or type(plugin).__name__
    taken = set(names)
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    return Source(unique, "given", lambda: plugin, str(getattr(plugin, "__version__", "")))


def installed() -> Iterator[Source]:
    """What distributions declare as entry points, by name, since the order of discovery is not stable."""
    seen: set[tuple[str, str]] = set()
    for entry in sorted(_entry_points(), key=lambda e: (e.name, e.value)):
        if (entry.name, entry.value) not in seen:  # an editable install may be found twice
            seen.add((entry.name, entry.value))
            yield _from_entry_point(entry)


def named(name: str) -> Source:
    """What `--plugins` names: a file, an entry point or an import path, tried in this order."""
    if name.endswith(".py") or os.sep in name:
        return _from_file(Path(name))
    for entry in _entry_points():
        if entry.name == name:
            return _from_entry_point(entry)
    if not re.fullmatch(r"\w+(\.\w+)*(:\w+(\.\w+)*)?", name):
        raise PluginError(f"plugin {name}: this is neither an installed plugin, nor an import path, nor a file", name)
    return Source(name, name, lambda: _import(name))


def _entry_points() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # slow to import, and not needed for built-ins

    return entry_points(group=GROUP)


def _from_entry_point(entry: EntryPoint) -> Source:
    version = entry.dist.version if entry.dist is not None else ""
    return Source(entry.name, entry.value, entry.load, version)


def _import(name: str) -> Any:
    path, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is not None and (path == error.name or path.startswith(error.name + ".")):
            raise PluginError(
                f"plugin {name}: there is neither an installed plugin nor a module of that name", name
            ) from error
        raise
    for part in attribute.split(".") if attribute else ():
        found = getattr(found, part)
    return found


def _from_file(path: Path) -> Source:
    if not path.is_file():
        raise PluginError(f"plugin {path}: there is no such file", str(path))
    name = path.stem

    def load() -> ModuleType:
        module_name = "_prefect_kernel_plugin_" + re.sub(r"\W", "_", name)
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None:
            raise PluginError(f"plugin {path}: this is no file of Python code", name)
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module  # dataclasses and pydantic look their modules up
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
        return module

    return Source(name, str(path), load)


def version_of(plugin: Any, otherwise: str) -> str:
    """The version that a plugin says it has, or that of its distribution."""
    said = getattr(plugin, "__version__", None)
    return said if isinstance(said, str) else otherwise


def short(path: str) -> str:
    """The name of a built-in: the last part of its import path."""
    return path.rsplit(".", 1)[-1]


def identifier(name: str) -> str:
    """A plugin's name with underscores for everything that is no letter or digit."""
    return re.sub(r"\W+", "_", name).strip("_").lower()
