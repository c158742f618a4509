"""`prefect-kernel plugins`, `policies`, `routes` and `settings`."""

from __future__ import annotations

import difflib
import re
import sys
from typing import Any

import click

from ..app import Kernel
from ..errors import KernelError, PluginError
from ..plugins import Plugin, Plugins
from ..policy import ResolvedPolicy
from .setup import prepare, table


def show_plugins(**options: Any) -> None:
    """List every plugin that was met; exit code 1 when one that must work does not."""
    settings = prepare(**options)
    found = Plugins.of(settings)
    try:
        Kernel(settings, found)
    except PluginError:
        if not found.problems:  # it is the fault of no plugin that is listed
            raise
    table([(p.name, p.version or "-", p.state, _why(p)) for p in found.known])
    if found.problems:
        sys.exit(1)


def _why(plugin: Plugin) -> str:
    return (
        plugin.reason.removeprefix(f"plugin {plugin.name}: ")
        or "; ".join([*plugin.notes, *_kinds(plugin)])
        or plugin.where
    )


def _kinds(plugin: Plugin) -> list[str]:
    """The kinds of triggers and actions that a plugin which is not built in has brought."""
    if plugin.trusted:
        return []
    hooks = {"kernel_triggers": "trigger", "kernel_actions": "action"}
    return [
        f"{what} {kind.model_fields['type'].default}"
        for hook, what in hooks.items()
        for kind in plugin.declared.get(hook, ())
    ]


def show_policies(name: str | None, **options: Any) -> None:
    """List policies, or the rules of one."""
    kernel = Kernel(prepare(**options))
    if name is None:
        table([(p.name, p.kind, f"{len(p.rules)} rules") for p in kernel.policies.values()])
        return
    if name not in kernel.policies:
        close = difflib.get_close_matches(name, kernel.policies, 1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(kernel.policies)}."
        raise KernelError(f"There is no policy named {name}; {hint}")
    _show_rules(kernel.policies[name])


def _show_rules(policy: ResolvedPolicy) -> None:
    width = len(str(len(policy.rules)))
    rows = [
        (f"{number:>{width}}", rule.rule_name(), policy.origin[rule.rule_name()], "async" if rule.is_async() else "")
        for number, rule in enumerate(policy.rules, 1)
    ]
    if rows:
        table(rows)
    for name, plugin in policy.removed.items():
        click.echo(f"Taken out: {name}, by plugin {plugin}")


def show_routes(**options: Any) -> None:
    """List routes, by path."""
    kernel = Kernel(prepare(**options))
    rows = []
    for group in kernel.groups:
        base = "" if group.root else kernel.api
        rows += [(base + endpoint.path, endpoint.method, endpoint.plugin) for endpoint in group.endpoints]
        rows += [(base + socket.path, "WS", socket.plugin) for socket in group.websockets]
    if kernel.blueprints:
        owners = {blueprint.name: plugin for plugin, blueprint in kernel.blueprints}
        for rule in kernel.quart.url_map.iter_rules():
            plugin = owners[rule.endpoint.split(".", 1)[0]]
            methods = ["WS"] if rule.websocket else sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
            path = re.sub(r"<(?:(\w+)[^:>]*:)?(\w+)>", r"{\2}", rule.rule)
            rows += [(path, method, plugin) for method in methods]
    table([(method, path, plugin) for path, method, plugin in sorted(rows)])


def show_settings(**options: Any) -> None:
    """List settings, those of plugins last."""
    settings = prepare(**options)
    Kernel(settings)  # which adopts the settings of plugins
    sources = {"override": "command line"}
    table([(row.name, row.value or "-", sources.get(row.source, row.source)) for row in settings.describe()])
