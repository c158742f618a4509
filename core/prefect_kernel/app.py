"""The kernel: collect what plugins declare, check it, freeze it, and serve it as one ASGI application."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from . import errors, policy
from ._internal import guarding
from ._internal.claims import Claims
from .events import Events
from .migrations import migrate
from .plugins import Plugin, Plugins
from .policy import ResolvedPolicy
from .ports.broker import Broker, BrokerDriver
from .ports.clock import Clock
from .ports.leases import LeaseDriver, LeaseStorage
from .ports.server import ServerRunner
from .ports.storage import Storage, StorageDriver
from .services import Service, Supervisor
from .stash import Stash
from .transition import Move
from .web.authentication import Authentication
from .web.cors import Cors
from .web.dispatch import Dispatcher
from .web.group import Around, Endpoint, Gate, Group
from .web.request import Request

log = logging.getLogger("prefect_kernel")


class Kernel:
    """One server: its plugins, its open database, and the application that answers requests."""

    clock: Clock
    storage: Storage
    leases: LeaseStorage
    broker: Broker

    def __init__(self, settings: Any, plugins: Plugins | None = None) -> None:
        """Load and check everything; nothing is opened yet. Raises PluginError or SettingsError."""
        self.settings = settings
        self.stash = Stash()
        self.plugins = plugins or Plugins.of(settings)
        self.plugins.check()
        self.plugins.call(settings, ["kernel_settings"])
        if all(plugin.state != "skipped" for plugin in self.plugins.known):
            settings.check_names()  # otherwise a name that nobody knows may be a skipped plugin's
        self.plugins.call(settings, [hook for hook in self.plugins.hooks if hook != "kernel_settings"])
        self.on_move: Callable[[Move], None] | None = None
        """Shown every transition that was decided, for tests."""
        self.api: str = settings.server.api.base_path or "/api"
        self.cors = Cors(settings.server.api)
        self._stack = AsyncExitStack()
        self._freeze()

    # ------------------------------------------------------------ what plugins declared
    def _freeze(self) -> None:
        """Check what was declared as a whole, and make everything that requests are answered from.

        A plugin that nobody asked for and that fails here is skipped, and all is made once more.
        """
        while True:
            try:
                self._make()
                return
            except errors.PluginError as error:
                self.plugins.blame(error)

    def _make(self) -> None:
        claims = Claims()
        self.plugins.each(
            lambda plugin: claims.admit(
                plugin.name,
                plugin.declared,
                api=self.api,
                prefixes=None if plugin.trusted else plugin.prefixes,
            )
        )
        self.policies: dict[str, ResolvedPolicy] = self._resolve_policies()
        self.events = Events(self)
        self.supervisor = Supervisor()
        trusted, seconds = self.plugins.trusted, self.settings.kernel.plugin_timeout
        middleware = list(self.plugins.collect("kernel_middleware"))
        self.check_request: Callable[[Request, Endpoint], Awaitable[None]] | None = guarding.middleware(
            [item for item in middleware if not isinstance(item[1], Gate | Around)], trusted, seconds
        )
        self.groups: list[Group] = []
        self.blueprints: list[tuple[str, Any]] = []
        """(plugin, blueprint)"""
        self.dispatcher = Dispatcher(self)
        self.dispatcher.gates = [gate for _, gate in middleware if isinstance(gate, Gate)]
        self._arounds = [item for item in middleware if isinstance(item[1], Around)]
        ways = list(self.plugins.collect("kernel_authenticators"))
        if ways:
            self.dispatcher.authentication = Authentication(ways, trusted, seconds)
        for plugin, declared in self.plugins.collect("kernel_routes"):
            if isinstance(declared, Group):
                self._add_group(plugin, declared)
            else:
                self.blueprints.append((plugin, declared))
        self._quart: Any = None

    def _resolve_policies(self) -> dict[str, ResolvedPolicy]:
        while True:
            try:
                resolved = self._resolved()
            except errors.PolicyError as error:
                self.plugins.blame(error)  # one that nobody asked for is skipped, and the others try again
                continue
            for name, found in resolved.items():
                for rule, plugin in found.removed.items():
                    log.warning("plugin %s takes rule %s out of %s", plugin, rule, name)
            return resolved

    def _resolved(self) -> dict[str, ResolvedPolicy]:
        edits = list(self.plugins.collect("kernel_policy_edits"))
        trusted = self.plugins.trusted
        resolved = {
            declared.name: policy.resolve(declared, plugin, edits, trusted)
            for plugin, declared in self.plugins.collect("kernel_policies")
        }
        for plugin, edit in edits:
            if edit.policy not in resolved:
                known = ", ".join(sorted(resolved))
                raise errors.PolicyError(
                    f"plugin {plugin}: there is no policy named {edit.policy!r}; known: {known}", plugin
                )
        return resolved

    def _add_group(self, plugin: str, group: Group) -> None:
        self.groups.append(group)
        base = "" if group.root else self.api
        guard = plugin not in self.plugins.trusted
        for endpoint in group.endpoints:
            if guard:
                endpoint.handler = guarding.handler(endpoint.handler)
            self.dispatcher.endpoints.add(endpoint.method, base + endpoint.path, self._surrounded(endpoint))
        if group.fallback is not None:
            self.dispatcher.fallback = guarding.fallback(group.fallback) if guard else group.fallback
        for socket in group.websockets:
            if guard:
                socket.handler = guarding.websocket(socket.handler)
            self.dispatcher.websockets.add("WS", base + socket.path, socket)

    def _surrounded(self, endpoint: Endpoint) -> Endpoint:
        for plugin, around in self._arounds:
            with self.plugins.blaming(self.plugins[plugin], "its middleware cannot be put around endpoints"):
                handler = around.wrap(endpoint)
                if handler is not None and not callable(handler):
                    raise TypeError(f"{handler!r} is no handler")
            if handler is not None:  # a copy, since groups are module-level objects, and kernels may be many
                safe = handler if plugin in self.plugins.trusted else guarding.handler(handler)
                endpoint = replace(endpoint, handler=safe)
        return endpoint

    def _driver(self, hook: str, name: str, what: str) -> tuple[Plugin, Any]:
        """The driver of that name or alias, and its plugin."""
        drivers = {
            key: (self.plugins[plugin], driver)
            for plugin, driver in self.plugins.collect(hook)
            for key in (driver.name, *getattr(driver, "aliases", ()))
        }
        if name not in drivers:
            known = ", ".join(sorted(driver.name for _, driver in self.plugins.collect(hook)))
            raise errors.SettingsError(f"There is no {what} named {name!r}; known: {known}.")
        return drivers[name]

    def _storage_driver(self) -> tuple[Plugin, StorageDriver]:
        scheme = self.settings.database_url.split(":", 1)[0]
        for plugin, driver in self.plugins.collect("kernel_storages"):
            if scheme in driver.schemes:
                return self.plugins[plugin], driver
        raise errors.SettingsError(f"There is no storage for database URLs that begin with {scheme!r}.")

    @property
    def storage_driver(self) -> StorageDriver:
        """The storage that the connection URL chooses."""
        return self._storage_driver()[1]

    async def manage_database(self, action: str) -> str:
        """Do `upgrade`, `stamp`, `reset` or `check`, for the settings' database; a sentence about what it is now."""
        driver = self.storage_driver
        if driver.manage is None:
            raise errors.SettingsError(f"The storage {driver.name} has nothing to {action}.")
        with guarding.reaching(self.settings.shown_database_url):
            found = await driver.manage(action, self.settings)
        if action != "stamp":
            async with AsyncExitStack() as stack:
                await self.open_storage(stack, migrate_plugins=action in ("upgrade", "reset"))
        return found

    @property
    def lease_driver(self) -> LeaseDriver:
        """The lease storage that the settings choose."""
        driver: LeaseDriver = self._driver("kernel_lease_storages", self.settings.lease_storage, "lease storage")[1]
        return driver

    @property
    def broker_driver(self) -> BrokerDriver:
        """The broker that the settings choose, or that the database does when they name none."""
        return self._broker_driver()[1]

    def _broker_driver(self) -> tuple[Plugin, BrokerDriver]:
        if self.settings.messaging_broker is None:
            storage = self.storage_driver.name
            for plugin, driver in self.plugins.collect("kernel_brokers"):
                if storage in driver.default_on:
                    return self.plugins[plugin], driver
        return self._driver("kernel_brokers", self.settings.server.events.messaging_broker, "broker")

    def server_runner(self, name: str) -> ServerRunner:
        """The ASGI server of that name."""
        runner: ServerRunner = self._driver("kernel_servers", name, "server")[1]
        return runner

    # ------------------------------------------------------------ opening and closing
    async def open(self, *, services: bool = True, clock: Clock | None = None, paused: bool = False) -> None:
        """Open the database and what depends on it, then start services (`paused`: make them, and run none).

        Without a plugin that nobody asked for and that fails here, everything is made and opened once more.
        """
        while True:
            try:
                await self._open(services, clock, paused)
                return
            except errors.PluginError as error:
                await self._stack.aclose()
                self.plugins.blame(error)
                self._freeze()
            except BaseException:
                await self._stack.aclose()
                raise

    async def _open(self, services: bool, clock: Clock | None, paused: bool) -> None:
        enter = self._stack.enter_async_context
        settings = self.settings
        self.clock = clock or self._driver("kernel_clocks", "system", "clock")[1].open()
        leases = self._driver("kernel_lease_storages", settings.lease_storage, "lease storage")
        broker = self._broker_driver()
        await self.open_storage(self._stack)
        self.leases = await enter(self._opened(*leases, "lease storage"))
        self.broker = await enter(self._opened(*broker, "broker"))
        if self.blueprints:
            await self.quart.startup()
            self._stack.push_async_callback(self.quart.shutdown)
        with guarding.reaching(settings.shown_database_url):
            for plugin in self.plugins.loaded:
                for lifespan in plugin.declared.get("kernel_lifespans", ()):
                    await enter(guarding.lifespan(plugin, lifespan, self))
        self.supervisor.start(self._wanted_services(services), paused=paused)
        self._stack.push_async_callback(self.supervisor.stop)

    def _opened(self, plugin: Plugin, driver: Any, what: str) -> AbstractAsyncContextManager[Any]:
        seconds = self.settings.kernel.plugin_timeout
        return guarding.opened(plugin, f"{what} {driver.name}", partial(driver.open, self.settings), seconds)

    async def open_storage(self, stack: AsyncExitStack, *, migrate_plugins: bool | None = None) -> None:
        """Open the database alone, with the tables of plugins, which are brought up to date if settings say so."""
        settings = self.settings
        url = settings.database_url
        allowed = settings.server.database.migrate_on_start if migrate_plugins is None else migrate_plugins
        plugin, driver = self._storage_driver()
        made = guarding.opened(plugin, f"storage {driver.name}", partial(driver.open, url, settings), None)
        with guarding.reaching(settings.shown_database_url):
            self.storage = await stack.enter_async_context(made)
        for plugin in self.plugins.loaded:
            sets = plugin.declared.get("kernel_migrations", ())
            with guarding.database_work(plugin):
                await migrate(self.storage, sets, allowed=allowed)

    def _wanted_services(self, services: bool) -> list[Service]:
        wanted: list[Service] = []
        for plugin in self.plugins.loaded:
            for kind in plugin.declared.get("kernel_services", ()):
                with self.plugins.blaming(plugin, f"service {kind.name} cannot be made"):
                    if (services or kind.client_facing) and kind.enabled(self.settings):
                        wanted.append(_service(kind, self))
        return wanted

    async def close(self) -> None:
        """Stop services and close everything, in reverse order."""
        await self._stack.aclose()

    # ------------------------------------------------------------ serving
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application: the fast table first, Quart for the rest."""
        kind = scope["type"]
        if kind == "http":
            if not await self.dispatcher.http(scope, receive, send):
                await guarding.quart_request(self, scope, receive, send)
        elif kind == "websocket":
            if not await self.dispatcher.websocket(scope, receive, send):
                await guarding.quart_socket(self, scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        """For servers that insist on the lifespan protocol; opening is done by `open` and `close`."""
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    @property
    def quart(self) -> Any:
        """The Quart application: blueprints of plugins, documents, static files. Made when it is first needed."""
        if self._quart is None:
            from .web.quart import make_quart

            self._quart = make_quart(self)
        return self._quart

    # ------------------------------------------------------------ how it is
    def services(self) -> Sequence[Service]:
        """The running services."""
        return list(self.supervisor.services.values())

    @property
    def stalled(self) -> list[str]:
        """The services without which the server is not ready, and which do not get on."""
        return [service.name for service in self.services() if service.essential and service.stalled]

    def health(self) -> dict[str, Any]:
        """How services and plugins are, for people and monitors."""
        services = [service.health() for service in self.services()]
        plugins = [_plugin_health(plugin) for plugin in self.plugins.known]
        degraded = any(s["state"] != "running" for s in services) or any(p["state"] == "skipped" for p in plugins)
        return {"status": "degraded" if degraded else "ok", "services": services, "plugins": plugins}


def _plugin_health(plugin: Plugin) -> dict[str, Any]:
    return {"name": plugin.name, "version": plugin.version, "state": plugin.state, "reason": plugin.reason or None}


def _service(kind: type[Service], kernel: Kernel) -> Service:
    service = kind(kernel)
    interval: Any = service.interval
    if not isinstance(interval, int | float) or not 0 < interval < inf:
        raise errors.KernelError(f"it wants to run every {interval!r} seconds")
    jitter: Any = kind.jitter
    if not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        raise errors.KernelError(f"its jitter is {jitter!r}, and not a share between 0 and 1")
    return service
