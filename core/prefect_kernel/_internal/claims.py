"""Names that may be there only once: which plugin has which, and refusing those that come too late."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import PluginError, told
from ..sql.types import metadata
from ..web.group import Group

Claim = tuple[str, str]
"""(what it is, its name)."""


class Claims:
    """What is taken, and by whom."""

    def __init__(self) -> None:
        self._taken: dict[Claim, str] = {}

    def admit(
        self, plugin: str, declared: Mapping[str, list[Any]], *, api: str, prefixes: Iterable[str] | None
    ) -> None:
        """Enter everything that a plugin declares, or nothing.

        Third parties' tables must begin with one of `prefixes`. Raises PluginError for a name that is taken, and for
        what turns out to be unusable.
        """
        taken = dict(self._taken)
        for claim in _claims(plugin, declared, api, prefixes):
            if claim in taken:
                other = taken[claim]
                of = "" if other == plugin else f", of plugin {other}"
                raise PluginError(f"plugin {plugin}: there is a {claim[0]} {claim[1]!r} already{of}", plugin)
            taken[claim] = plugin
        self._taken = taken


def _claims(
    plugin: str, declared: Mapping[str, list[Any]], api: str, prefixes: Iterable[str] | None
) -> Iterator[Claim]:
    for driver in declared.get("kernel_storages", ()):
        yield "storage", driver.name
        for scheme in driver.schemes:
            yield "storage for the URL scheme", scheme
    for hook, what in (
        ("kernel_brokers", "broker"),
        ("kernel_clocks", "clock"),
        ("kernel_lease_storages", "lease storage"),
        ("kernel_servers", "server"),
    ):
        for driver in declared.get(hook, ()):
            for name in (driver.name, *getattr(driver, "aliases", ())):
                yield what, name
    for table in declared.get("kernel_tables", ()):
        yield "table", _own_table(plugin, table, prefixes)
    for migrations in declared.get("kernel_migrations", ()):
        yield "set of migrations", migrations.plugin
    for routes in declared.get("kernel_routes", ()):
        yield from _group(plugin, routes, api) if isinstance(routes, Group) else _blueprint(plugin, routes, api)
    for hook, what in (
        ("kernel_authenticators", "way to authenticate"),
        ("kernel_policies", "policy"),
        ("kernel_services", "service"),
        ("kernel_commands", "command"),
    ):
        for item in declared.get(hook, ()):
            yield what, item.name
    for command in declared.get("kernel_commands", ()):
        if _is_own_command(command.name):
            raise PluginError(f"plugin {plugin}: there is a command {command.name!r} already", plugin)
    for hook, what in (("kernel_triggers", "kind of trigger"), ("kernel_actions", "kind of action")):
        for kind in declared.get(hook, ()):
            yield what, kind.model_fields["type"].default


def _is_own_command(name: str) -> bool:
    from ..cli import cli

    return name in cli.commands


def _own_table(plugin: str, table: Any, prefixes: Iterable[str] | None) -> str:
    name = str(table.name)
    if prefixes is not None and not name.startswith(tuple(prefixes)):
        wanted = " or ".join(repr(prefix) for prefix in prefixes)
        raise PluginError(f"plugin {plugin}: the name of table {name!r} must begin with {wanted}", plugin)
    if name in metadata.tables and metadata.tables[name] is not table:
        raise PluginError(f"plugin {plugin}: there is a table {name!r} already", plugin)
    return name


def _shape(path: str) -> str:
    """A path template without the names of its parameters: two of one shape match the same requests."""
    return re.sub(r"\{[^:{}]*", "{", path)


_PATH = re.compile(r"(/([^/{}]*|\{\w+(:uuid|:str)?\}))*(/\{\w+:path\})?")


def _check_path(plugin: str, where: str, path: str) -> None:
    if not path.startswith("/"):
        raise PluginError(f"plugin {plugin}: the path of {where} does not begin with a slash", plugin)
    if _PATH.fullmatch(path) is None:
        raise PluginError(
            f"plugin {plugin}: the path of {where} cannot be served; parameters are whole segments: "
            "{name}, {name:uuid}, or {name:path} at the end",
            plugin,
        )


def _group(plugin: str, group: Group, api: str) -> Iterator[Claim]:
    base = "" if group.root else api
    for endpoint in group.endpoints:
        where = f"{endpoint.method} {base}{endpoint.path}"
        _check_path(plugin, where, endpoint.path)
        if not inspect.iscoroutinefunction(endpoint.handler):
            raise PluginError(f"plugin {plugin}: the handler of {where} is not async", plugin)
        endpoint.plugin = plugin
        try:
            endpoint.build()
        except Exception as error:
            raise PluginError(f"plugin {plugin}: {where} cannot be served: {told(error)}", plugin) from error
        yield "route", f"{endpoint.method} {_shape(base + endpoint.path)}"
    if group.fallback is not None:
        if not inspect.iscoroutinefunction(group.fallback):
            raise PluginError(f"plugin {plugin}: the fallback of group {group.name} is not async", plugin)
        yield "fallback for paths outside", api
    for socket in group.websockets:
        _check_path(plugin, f"WebSocket {base}{socket.path}", socket.path)
        if not inspect.iscoroutinefunction(socket.handler):
            raise PluginError(f"plugin {plugin}: the handler of WebSocket {socket.path} is not async", plugin)
        socket.plugin = plugin
        yield "WebSocket", _shape(base + socket.path)


def mounted_at(blueprint: Any, api: str) -> str:
    """Where a blueprint's routes begin: below the API's base path, like everybody's."""
    return api + (blueprint.url_prefix or "")


def _blueprint(plugin: str, blueprint: Any, api: str) -> Iterator[Claim]:
    from quart import Quart

    scratch = Quart("claims", static_folder=None)
    try:
        scratch.register_blueprint(blueprint, url_prefix=mounted_at(blueprint, api))
        rules = list(scratch.url_map.iter_rules())
    except Exception as error:
        said = f"blueprint {blueprint.name!r} cannot be used: {told(error)}"
        raise PluginError(f"plugin {plugin}: {said}", plugin) from error
    yield "blueprint", blueprint.name
    for rule in rules:
        shape = re.sub(r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>", _converter, rule.rule)
        if rule.websocket:
            yield "WebSocket", shape
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield "route", f"{method} {shape}"


def _converter(match: re.Match[str]) -> str:
    name = match.group(1)
    return "{}" if name in (None, "string", "default") else "{:" + name + "}"
