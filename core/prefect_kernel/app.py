"""The kernel: collect what plugins declare, check it, freeze it, and serve it as one ASGI application."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from . import errors, policy
from .events import Events
from .migrations import migrate
from .plugins import DEFAULT, ESSENTIAL, Plugins
from .policy import ResolvedPolicy
from .ports.clock import Clock
from .ports.leases import LeaseStorage
from .ports.server import ServerRunner
from .ports.storage import Storage
from .services import Service, Supervisor
from .web.cors import Cors
from .web.dispatch import Dispatcher
from .web.group import Endpoint, Group
from .web.request import Request

log = logging.getLogger("prefect_kernel")


class Kernel:
    """One server: its plugins, its open database, and the application that answers requests."""

    clock: Clock
    storage: Storage
    leases: LeaseStorage
    broker: Any

    def __init__(self, settings: Any, plugins: Plugins | None = None) -> None:
        """Load and check everything; nothing is opened yet. Raises PluginError or SettingsError."""
        self.settings = settings
        self.plugins = plugins or self._load_builtins()
        for plugin, declared in self.plugins.collect("kernel_settings"):
            settings.adopt(plugin, [declared])
        settings.check_names()
        self.api = settings.server.api.base_path or "/api"
        self.cors = Cors(settings.server.api)
        self.check_request: Callable[[Request, Endpoint], Awaitable[None]] | None = None
        self.events = Events(self)
        self.supervisor = Supervisor()
        self.policies: dict[str, ResolvedPolicy] = self._resolve_policies()
        self.groups: list[Group] = []
        self.blueprints: list[Any] = []
        self.dispatcher = Dispatcher(self)
        self._collect_routes()
        self._stack = AsyncExitStack()
        self._quart: Any = None

    @staticmethod
    def _load_builtins() -> Plugins:
        plugins = Plugins()
        for name in ESSENTIAL + DEFAULT:
            plugins.load(name)
        return plugins

    def _resolve_policies(self) -> dict[str, ResolvedPolicy]:
        edits = list(self.plugins.collect("kernel_policy_edits", settings=self.settings))
        resolved: dict[str, ResolvedPolicy] = {}
        for plugin, declared in self.plugins.collect("kernel_policies"):
            if declared.name in resolved:
                raise errors.PluginError(f"plugin {plugin}: there is a policy named {declared.name!r} already")
            resolved[declared.name] = policy.resolve(declared, plugin, edits)
        for plugin, edit in edits:
            if edit.policy not in resolved:
                raise errors.PolicyError(f"plugin {plugin}: there is no policy named {edit.policy!r}")
        return resolved

    def _collect_routes(self) -> None:
        for plugin, declared in self.plugins.collect("kernel_routes", settings=self.settings):
            if not isinstance(declared, Group):
                self.blueprints.append(declared)
                continue
            self.groups.append(declared)
            base = "" if declared.root else self.api
            for endpoint in declared.endpoints:
                endpoint.plugin = plugin
                endpoint.build()
                self.dispatcher.endpoints.add(endpoint.method, base + endpoint.path, endpoint)
            for socket in declared.websockets:
                socket.plugin = plugin
                self.dispatcher.websockets.add("WS", base + socket.path, socket)

    # ------------------------------------------------------------ opening and closing
    def _driver(self, hook: str, name: str, what: str) -> Any:
        drivers: dict[str, Any] = {}
        for plugin, driver in self.plugins.collect(hook):
            for key in (driver.name, *getattr(driver, "aliases", ())):
                if key in drivers:
                    raise errors.PluginError(f"plugin {plugin}: there is a {what} named {key!r} already")
                drivers[key] = driver
        if name not in drivers:
            raise errors.SettingsError(f"There is no {what} named {name!r}; known: {', '.join(sorted(drivers))}.")
        return drivers[name]

    def server_runner(self, name: str) -> ServerRunner:
        """The ASGI server of that name."""
        runner: ServerRunner = self._driver("kernel_servers", name, "server")
        return runner

    async def open(self, *, services: bool = True, clock: Clock | None = None) -> None:
        """Open the database and what depends on it, then start services."""
        enter = self._stack.enter_async_context
        try:
            self.clock = clock or self._driver("kernel_clocks", "system", "clock").open()
            url = self.settings.database_url
            self.storage = await enter(self._storage_driver(url).open(url, self.settings))
            sets = [declared for _, declared in self.plugins.collect("kernel_migrations")]
            await migrate(self.storage, sets, allowed=self.settings.server.database.migrate_on_start)
            leases = self._driver(
                "kernel_lease_storages", self.settings.server.concurrency.lease_storage, "lease storage"
            )
            self.leases = await enter(leases.open(self.settings))
            for _, lifespan in self.plugins.collect("kernel_lifespans"):
                await enter(lifespan(self))
            wanted = []
            for _, declared in self.plugins.collect("kernel_services", settings=self.settings):
                service: type[Service] = declared
                if (services or service.client_facing) and service.enabled(self.settings):
                    wanted.append(service(self))
            self.supervisor.start(wanted)
            self._stack.push_async_callback(self.supervisor.stop)
        except BaseException:
            await self._stack.aclose()
            raise

    def _storage_driver(self, url: str) -> Any:
        scheme = url.split(":", 1)[0]
        found = [d for _, d in self.plugins.collect("kernel_storages") if scheme in d.schemes]
        if len(found) != 1:
            known = "no" if not found else "more than one"
            raise errors.SettingsError(f"There is {known} storage for database URLs that begin with {scheme!r}.")
        return found[0]

    async def close(self) -> None:
        """Stop services and close everything, in reverse order."""
        await self._stack.aclose()

    # ------------------------------------------------------------ serving
    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """The ASGI application: the fast table first, Quart for the rest."""
        kind = scope["type"]
        if kind == "http":
            if not await self.dispatcher.http(scope, receive, send):
                await self.quart(scope, receive, send)
        elif kind == "websocket":
            if not await self.dispatcher.websocket(scope, receive, send):
                await self.quart(scope, receive, send)
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

    def services(self) -> Sequence[Service]:
        """The running services."""
        return list(self.supervisor.services.values())
