"""All hooks, in the order in which they are called; each once, at boot, synchronously, one plugin after the other.

A hook returns an iterable of declarations (`kernel_migrations`: one). Async work lives in the objects that it returns.
Nothing that is returned is used before every hook of every plugin was called, so it does not matter who comes first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from . import deprecated

if TYPE_CHECKING:
    import click
    import sqlalchemy as sa
    from quart import Blueprint

    from .app import Kernel
    from .migrations import MigrationSet
    from .policy import Edit, Policy
    from .ports.broker import BrokerDriver
    from .ports.clock import ClockDriver
    from .ports.leases import LeaseDriver
    from .ports.server import ServerRunner
    from .ports.storage import StorageDriver
    from .services import Service
    from .settings import Setting, Settings
    from .web import Around, Authenticator, Endpoint, Gate, Group, Request

    Middleware = Callable[[Request, Endpoint], Awaitable[None]]
    Lifespan = Callable[[Kernel], AbstractAsyncContextManager[Any] | AsyncIterator[Any]]
    EventHandler = Callable[[Kernel, list[dict[str, Any]]], Awaitable[None]]

F = TypeVar("F", bound=Callable[..., Any])

hookimpl = pluggy.HookimplMarker("prefect_kernel")
"""Marks the functions of a plugin that implement hooks."""

_specification = pluggy.HookspecMarker("prefect_kernel")


def hookspec(function: F) -> F:
    """Mark a hook; one that is scheduled to go says so to who implements it."""
    return _specification(function, warn_on_impl=deprecated.HOOKS.get(function.__name__))


# ---------------------------------------------------------------- what the kernel is made of
@hookspec
def kernel_settings() -> Iterable[Setting]:
    """Declare settings of the plugin, read from the same places as Prefect's.

    Called first, so that every other hook can look their values up: `settings.plugin["PREFECT_KERNEL_ACME_DAYS"]`.
    """


@hookspec
def kernel_storages() -> Iterable[StorageDriver]:
    """Offer databases; the scheme of the connection URL chooses one."""


@hookspec
def kernel_brokers() -> Iterable[BrokerDriver]:
    """Offer message brokers; PREFECT_SERVER_EVENTS_MESSAGING_BROKER chooses one by name or alias."""


@hookspec
def kernel_clocks() -> Iterable[ClockDriver]:
    """Offer clocks; a server uses the one named `system`, the test kit one that can be set."""


@hookspec
def kernel_lease_storages() -> Iterable[LeaseDriver]:
    """Offer places for leases; PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE chooses one by name or alias.

    Without it, leases are where `database` puts them.
    """


@hookspec
def kernel_servers() -> Iterable[ServerRunner]:
    """Offer ASGI servers; `--server` (PREFECT_KERNEL_SERVER) chooses one by name."""


# ---------------------------------------------------------------- the database
@hookspec
def kernel_tables() -> Iterable[sa.Table]:
    """Name the plugin's own tables. Their names begin with the plugin's, in lower case: `acme_freeze_window`."""


@hookspec
def kernel_migrations() -> MigrationSet | None:
    """Give the statements that make the plugin's tables, in order, per dialect.

    What is pending is applied when the database has been opened, and by `prefect-kernel database upgrade`.
    """


# ---------------------------------------------------------------- requests
@hookspec
def kernel_authenticators(settings: Settings) -> Iterable[Authenticator]:
    """Offer ways to find out who a caller is, tried in load order. Where there is one, nobody unknown gets in."""


@hookspec
def kernel_middleware(settings: Settings) -> Iterable[Middleware | Gate | Around]:
    """Look at each HTTP request before its endpoint: `async def check(request, endpoint)`.

    It returns nothing to let the request pass, or raises one of the `HttpError`s to refuse it. Middleware is called in
    the load order of plugins; without any, no request pays for it. A `web.Gate` is asked before anything else, also
    about requests that have no endpoint. A `web.Around` is put around endpoints at boot.
    """


@hookspec
def kernel_routes(settings: Settings) -> Iterable[Group | Blueprint]:
    """Serve paths below the API's base path: endpoint groups (`web.Group`), or plain Quart blueprints."""


# ---------------------------------------------------------------- orchestration
@hookspec
def kernel_policies() -> Iterable[Policy]:
    """Bring policies: a name, and the ordered list of rules."""


@hookspec
def kernel_policy_edits(settings: Settings) -> Iterable[Edit]:
    """Change policies: `Insert` a rule between others, `Replace` one, `Remove` one.

    All replaces are applied first, then all inserts, then all removes.
    """


# ---------------------------------------------------------------- events and automations
@hookspec
def kernel_triggers() -> Iterable[type]:
    """Bring kinds of triggers of automations: subclasses of the built-in `EventTrigger`, with a `type` of their own."""


@hookspec
def kernel_actions() -> Iterable[type]:
    """Bring kinds of actions of automations: subclasses of the built-in `Action`, with a `type` and an async `act`."""


@hookspec
def kernel_event_handlers() -> Iterable[EventHandler]:
    """Take events after they were committed: `async def handle(kernel, events)`."""


# ---------------------------------------------------------------- running
@hookspec
def kernel_lifespans() -> Iterable[Lifespan]:
    """Open what lives as long as the server: async context managers over the kernel.

    They are entered in load order when the database, leases and broker are open, and left in reverse order.
    """


@hookspec
def kernel_services(settings: Settings) -> Iterable[type[Service]]:
    """Bring background services, which are run by one process of a server."""


@hookspec
def kernel_commands() -> Iterable[click.Command]:
    """Bring commands: `prefect-kernel NAME`."""
