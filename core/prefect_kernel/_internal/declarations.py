"""What each hook may declare: the shape of a single declaration, checked before anything is used."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from ..errors import PluginError
from ..migrations import MigrationSet
from ..policy import Insert, Policy, Remove, Replace
from ..ports.broker import BrokerDriver
from ..ports.clock import ClockDriver
from ..ports.leases import LeaseDriver
from ..ports.server import ServerRunner
from ..ports.storage import StorageDriver
from ..services import Service
from ..settings import Setting
from ..web.authentication import Authenticator
from ..web.group import Around, Gate, Group


def _instance(*types: type) -> Callable[[Any], bool]:
    return lambda item: isinstance(item, types)


def _any(item: Any) -> Any:
    """The same, of no known type: third parties may have put anything there."""
    return item


def _is_async(item: Any) -> bool:
    call = getattr(item, "__call__", None)  # noqa: B004 - the method of an object that can be called
    return inspect.iscoroutinefunction(item) or inspect.iscoroutinefunction(call)


def _is_routes(item: Any) -> bool:
    quart = sys.modules.get("quart")  # not imported: then there are no blueprints either
    return isinstance(item, Group) or (quart is not None and isinstance(item, quart.Blueprint))


def _is_authenticator(item: Any) -> bool:
    return (
        isinstance(item, Authenticator)
        and not isinstance(_any(item), type)
        and isinstance(_any(item).name, str)
        and _is_async(item.request)
        and _is_async(item.socket)
    )


def _is_policy(item: Any) -> bool:
    return (
        isinstance(item, Policy)
        and isinstance(_any(item).name, str)
        and item.kind in ("flow_run", "task_run")
        and isinstance(_any(item).rules, list | tuple)
    )


def _is_edit(item: Any) -> bool:
    if not isinstance(item, Insert | Replace | Remove):
        return False
    anchors = (item.after, item.before) if isinstance(item, Insert) else (item.name,)
    return isinstance(_any(item).policy, str) and all(isinstance(name, str | None) for name in anchors)


def _is_service(item: Any) -> bool:
    return (
        inspect.isclass(item)
        and issubclass(item, Service)
        and isinstance(_any(item).name, str)
        and item.name != ""
        and item.tick is not Service.tick
        and _is_async(item.tick)
        and _any(item).every.__func__ is not _any(Service).every.__func__
    )


def _is_kind(item: Any, *methods: str) -> bool:
    fields = getattr(item, "model_fields", None) if inspect.isclass(item) else None
    named = isinstance(fields, dict) and "type" in fields and isinstance(_any(fields["type"]).default, str)
    return named and all(callable(getattr(item, method, None)) for method in methods)


def _is_trigger(item: Any) -> bool:
    return _is_kind(item, "all_triggers") and (
        _is_kind(item, "covers", "expects", "starts_after", "key", "met") or _is_kind(item, "ready")
    )


def _is_action(item: Any) -> bool:
    return _is_kind(item) and inspect.iscoroutinefunction(getattr(item, "act", None))


def _is_command(item: Any) -> bool:
    import click

    return isinstance(item, click.Command) and bool(item.name)


def _is_middleware(item: Any) -> bool:
    return isinstance(item, Gate | Around) or _is_async(item)


SHAPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "kernel_settings": ("a Setting", _instance(Setting)),
    "kernel_storages": ("a StorageDriver", _instance(StorageDriver)),
    "kernel_brokers": ("a BrokerDriver", _instance(BrokerDriver)),
    "kernel_clocks": ("a ClockDriver", _instance(ClockDriver)),
    "kernel_lease_storages": ("a LeaseDriver", _instance(LeaseDriver)),
    "kernel_servers": ("a server runner with a name", _instance(ServerRunner)),
    "kernel_tables": ("a sqlalchemy.Table", _instance(sa.Table)),
    "kernel_migrations": ("a MigrationSet", _instance(MigrationSet)),
    "kernel_authenticators": (
        "an Authenticator: an object with a name, an async request and an async socket",
        _is_authenticator,
    ),
    "kernel_middleware": ("an async function of request and endpoint, a web.Gate, or a web.Around", _is_middleware),
    "kernel_routes": ("a web.Group or a Quart blueprint", _is_routes),
    "kernel_policies": ("a Policy with a name, `flow_run` or `task_run`, and a list of rules", _is_policy),
    "kernel_policy_edits": ("an Insert, Replace or Remove of names that are text", _is_edit),
    "kernel_triggers": ("a kind of trigger: a subclass of EventTrigger with a type of its own", _is_trigger),
    "kernel_actions": ("a kind of action: a subclass of Action with a type of its own and an async act", _is_action),
    "kernel_event_handlers": ("something that can be called", callable),
    "kernel_lifespans": ("a function of the kernel that gives an async context manager", callable),
    "kernel_services": ("a Service class with a name, an async tick and an interval", _is_service),
    "kernel_commands": ("a click.Command with a name", _is_command),
}
"""Hook -> what each of its declarations is, in words and as a test."""

SINGLE = frozenset({"kernel_migrations"})
"""Hooks that return one declaration, and not several."""


def checked(plugin: str, hook: str, returned: Any) -> list[Any]:
    """The declarations that a hook returned. Raises PluginError for anything else."""
    words, fits = SHAPES[hook]
    if inspect.isawaitable(returned):
        if inspect.iscoroutine(returned):
            returned.close()
        raise PluginError(f"plugin {plugin}: {hook} returned an awaitable; hooks are synchronous", plugin)
    if returned is None:
        return []
    if hook in SINGLE:
        returned = [returned]
    elif not isinstance(returned, Iterable) or isinstance(returned, str | bytes | type | dict):
        raise PluginError(f"plugin {plugin}: {hook} returned {returned!r}, and not a list", plugin)
    items = []
    for item in returned:  # one by one: it may be endless, and `list` of that would not even heed the time limit
        if not fits(item):
            raise PluginError(f"plugin {plugin}: {hook} returned {item!r}, which is not {words}", plugin)
        items.append(item)
    return items
