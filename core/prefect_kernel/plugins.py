"""Which plugins there are, loading them, and calling their hooks one by one.

Pluggy is used at boot only. Each implementation of a hook is called by itself, so that an error names its plugin and
does not lose what the others returned.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pluggy

from . import hookspecs
from .errors import PluginError

ESSENTIAL = (
    "prefect_kernel_plugins.clock_system",
    "prefect_kernel_plugins.storage_sqlite",
    "prefect_kernel_plugins.storage_postgres",
    "prefect_kernel_plugins.server_hypercorn",
    "prefect_kernel_plugins.root",
)
"""Built-ins that cannot be switched off."""

DEFAULT = (
    "prefect_kernel_plugins.server_uvicorn",
    "prefect_kernel_plugins.broker_memory",
    "prefect_kernel_plugins.leases_memory",
    "prefect_kernel_plugins.leases_filesystem",
    "prefect_kernel_plugins.policies",
    "prefect_kernel_plugins.flows",
    "prefect_kernel_plugins.flow_runs",
    "prefect_kernel_plugins.flow_run_states",
    "prefect_kernel_plugins.task_runs",
    "prefect_kernel_plugins.task_run_states",
    "prefect_kernel_plugins.task_workers",
    "prefect_kernel_plugins.logs",
    "prefect_kernel_plugins.events",
    "prefect_kernel_plugins.api_docs",
)
"""Built-ins that are loaded unless switched off."""


@dataclass
class Loaded:
    """A plugin and what became of it."""

    name: str
    module: Any
    version: str = ""
    state: str = "loaded"
    reason: str = ""


class Plugins:
    """The plugins of one kernel; a fresh manager each time."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("prefect_kernel")
        self.manager.add_hookspecs(hookspecs)
        self.loaded: list[Loaded] = []

    def load(self, name: str) -> None:
        """Import and register a plugin; raises PluginError with one sentence."""
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise PluginError(f"plugin {name} cannot be imported: {error}") from error
        self.manager.register(module, name)
        self.loaded.append(Loaded(name, module))

    def collect(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """(plugin, declaration) of everything that plugins declare through a hook, in load order."""
        implementations = {impl.plugin_name: impl for impl in getattr(self.manager.hook, hook).get_hookimpls()}
        for plugin in self.loaded:
            impl = implementations.get(plugin.name)
            if impl is None:
                continue
            try:
                declared = impl.function(*(arguments[name] for name in impl.argnames))
                if inspect.iscoroutine(declared):
                    declared.close()
                    raise TypeError("the hook is async; hooks are called once, at boot, synchronously")
                items = list(declared) if declared is not None and not hasattr(declared, "migrations") else [declared]
            except Exception as error:
                raise PluginError(f"plugin {plugin.name}: hook {hook} failed: {error!r}") from error
            for item in items:
                if item is not None:
                    yield plugin.name, item
