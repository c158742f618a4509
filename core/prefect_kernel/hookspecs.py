"""All hooks, in the order in which they are called; each once, at boot, synchronously.

A hook returns an iterable of declarations. Async work lives in the objects that it returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from .migrations import MigrationSet
    from .policy import Edit, Policy
    from .ports.broker import BrokerDriver
    from .ports.clock import ClockDriver
    from .ports.leases import LeaseDriver
    from .ports.server import ServerRunner
    from .ports.storage import StorageDriver
    from .services import Service

hookspec = pluggy.HookspecMarker("prefect_kernel")
hookimpl = pluggy.HookimplMarker("prefect_kernel")


# ---------------------------------------------------------------- what the kernel is made of
@hookspec
def kernel_settings() -> Iterable[Any]:
    """Settings of the plugin (`prefect_kernel.settings.Setting`), read from the same sources as Prefect's."""


@hookspec
def kernel_storages() -> Iterable[StorageDriver]:
    """Databases that can be opened; the scheme of the connection URL chooses one."""


@hookspec
def kernel_brokers() -> Iterable[BrokerDriver]:
    """Message brokers; a setting chooses one."""


@hookspec
def kernel_clocks() -> Iterable[ClockDriver]:
    """Clocks; the server uses `system`, the test kit a settable one."""


@hookspec
def kernel_lease_storages() -> Iterable[LeaseDriver]:
    """Places for concurrency leases; a setting chooses one."""


@hookspec
def kernel_servers() -> Iterable[ServerRunner]:
    """ASGI servers; `--server` chooses one."""


# ---------------------------------------------------------------- the database
@hookspec
def kernel_tables() -> Iterable[Any]:
    """The plugin's own tables (`sqlalchemy.Table`); third parties' names start with the plugin's name."""


@hookspec
def kernel_migrations() -> MigrationSet | None:
    """The statements that make the plugin's tables, in order, per dialect."""


# ---------------------------------------------------------------- requests
@hookspec
def kernel_authenticators(settings: Any) -> Iterable[Any]:
    """Ways to find out who a caller is; tried in the order named by a setting."""


@hookspec
def kernel_middleware(settings: Any) -> Iterable[Any]:
    """`async def middleware(request, endpoint)`, called before every endpoint; raises an HttpError to refuse."""


@hookspec
def kernel_routes(settings: Any) -> Iterable[Any]:
    """Endpoint groups (`web.Group`), or plain Quart blueprints."""


# ---------------------------------------------------------------- orchestration
@hookspec
def kernel_policies() -> Iterable[Policy]:
    """Policies: a name and the ordered list of rules."""


@hookspec
def kernel_policy_edits(settings: Any) -> Iterable[Edit]:
    """Changes to policies: `Insert`, `Replace`, `Remove`."""


# ---------------------------------------------------------------- events and automations
@hookspec
def kernel_triggers() -> Iterable[type]:
    """Kinds of automation triggers."""


@hookspec
def kernel_actions() -> Iterable[type]:
    """Kinds of automation actions."""


@hookspec
def kernel_event_handlers() -> Iterable[Any]:
    """Consumers of events after they were committed."""


# ---------------------------------------------------------------- running
@hookspec
def kernel_lifespans() -> Iterable[Any]:
    """Async context managers over the kernel, entered in order once storage is open, left in reverse."""


@hookspec
def kernel_services(settings: Any) -> Iterable[type[Service]]:
    """Background services."""


@hookspec
def kernel_commands() -> Iterable[Any]:
    """Further commands for the command line (`click.Command`)."""
