"""The failure table while the server opens and closes: lifespans, migrations, services, drivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from prefect_kernel.errors import PluginError, StorageUnavailable
from prefect_kernel.ports.broker import BrokerDriver
from prefect_kernel.ports.leases import LeaseDriver
from prefect_kernel.ports.storage import StorageDriver
from prefect_kernel.testing import MakeKernel

from .support import QUICK, Machine, plugin, said, state


# ---------------------------------------------------------------- lifespans
def lifespan(way: str, log: list[str]) -> Any:
    """A lifespan that fails in this way."""

    @asynccontextmanager
    async def enter(kernel: Any) -> AsyncIterator[None]:
        if way == "raises":
            raise ValueError("no good")
        if way == "exits":
            raise SystemExit(3)
        if way == "hangs":
            await asyncio.Event().wait()
        if way == "cancels":
            raise asyncio.CancelledError
        try:
            yield
        finally:
            log.append("left")
            if way == "raises at the end":
                raise ValueError("no good")
            if way == "hangs at the end":
                await asyncio.Event().wait()
            if way == "cancels at the end":
                raise asyncio.CancelledError

    async def is_async(kernel: Any) -> None:
        """Be awaitable."""

    def gives_junk(kernel: Any) -> int:
        return 7

    return {"returns junk": gives_junk, "is async": is_async}.get(way, enter)


OPENING = {
    "raises": "ValueError: no good",
    "exits": "SystemExit: 3",
    "hangs": "it was not open within 0.2 seconds",
    "cancels": "CancelledError",
    "returns junk": "it gave 7, and not an async context manager",
    "is async": "it gave .*, and not an async context manager",
}


@pytest.mark.parametrize("way", OPENING)
def test_a_required_lifespan_that_fails(make_kernel: MakeKernel, way: str) -> None:
    """The server does not start, says whose fault it is, and closes what it had opened."""
    log: list[str] = []
    with pytest.raises(PluginError, match=f"plugin acme: lifespan .* failed: {OPENING[way]}"):
        make_kernel(plugin(lifespans=[lifespan("works", log), lifespan(way, log)]), settings=QUICK)
    assert log == ["left"]


@pytest.mark.parametrize("way", ["raises at the end", "hangs at the end", "cancels at the end"])
def test_a_lifespan_that_fails_at_the_end(make_kernel: MakeKernel, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong at the end is logged, and the others are left in good order."""
    log: list[str] = []
    kernel = make_kernel(plugin(lifespans=[lifespan("works", log), lifespan(way, log)]), settings=QUICK)
    kernel.run(kernel.kernel.close())
    assert log == ["left", "left"]
    assert said(caplog, "lifespan", "of plugin acme failed to close")


INSTALLED = """
from contextlib import asynccontextmanager
from prefect_kernel import FlowRule, Insert, Service, hookimpl, web
from prefect_kernel.migrations import Migration, MigrationSet

group = web.Group("half", prefix="/half")

@group.get("/")
async def look(request):
    return web.json(1)

class Half(FlowRule): ...

@hookimpl
def kernel_routes(settings):
    return [group]

@hookimpl
def kernel_policy_edits(settings):
    return [Insert(Half, "core-flow", after="RetryFailedFlows")]
"""

AT_OPEN = {
    "lifespan": (
        """
@hookimpl
def kernel_lifespans():
    @asynccontextmanager
    async def enter(kernel):
        raise ValueError("no good")
        yield
    return [enter]
""",
        "lifespan kernel_lifespans.<locals>.enter failed: ValueError: no good",
    ),
    "lifespan that asks for a table which is not there": (
        """
@hookimpl
def kernel_lifespans():
    import sqlalchemy as sa
    from prefect_kernel.sql import Statement

    def look():
        return (yield Statement(sa.text("SELECT x FROM nowhere"))())

    @asynccontextmanager
    async def enter(kernel):
        await kernel.storage.read(look)
        yield
    return [enter]
""",
        "lifespan kernel_lifespans.<locals>.enter failed: no such table: nowhere",
    ),
    "migrations": (
        """
@hookimpl
def kernel_migrations():
    wrong = ["CREATE TABLE"]
    return MigrationSet("half", [Migration("1", {"sqlite": wrong, "postgresql": wrong})])
""",
        "its migrations failed: ",
    ),
    "service": (
        """
class Broken(Service):
    name = "broken"
    def __init__(self, kernel): raise ValueError("no good")
    async def tick(self): ...
    @classmethod
    def every(cls, settings): return 1

@hookimpl
def kernel_services(settings):
    return [Broken]
""",
        "service broken cannot be made: ValueError: no good",
    ),
    **{
        f"interval of {interval}": (
            f"""
class Broken(Service):
    name = "broken"
    async def tick(self): ...
    @classmethod
    def every(cls, settings): return {interval}

@hookimpl
def kernel_services(settings):
    return [Broken]
""",
            f"service broken cannot be made: it wants to run every {shown} seconds",
        )
        for interval, shown in (("'soon'", "'soon'"), ("0", "0"), ("float('nan')", "nan"), ("float('inf')", "inf"))
    },
    "jitter": (
        """
class Broken(Service):
    name = "broken"
    jitter = "a little"
    async def tick(self): ...
    @classmethod
    def every(cls, settings): return 1

@hookimpl
def kernel_services(settings):
    return [Broken]
""",
        "service broken cannot be made: its jitter is 'a little', and not a share between 0 and 1",
    ),
}


@pytest.mark.parametrize("case", AT_OPEN)
def test_an_installed_plugin_that_fails_to_open(machine: Machine, case: str, make_kernel: MakeKernel) -> None:
    """An installed plugin that fails only when the server opens is skipped as a whole, too: routes, rules and all."""
    source, why = AT_OPEN[case]
    name = machine.install(INSTALLED + source)
    kernel = make_kernel(settings={"kernel.no_autoload": False})
    what, reason = state(kernel.kernel.plugins, name)
    assert what == "skipped"
    assert why in reason
    assert kernel.client.get("/half/").status == 404
    assert "Half" not in kernel.kernel.policies["core-flow"].origin
    assert kernel.flow_run()["state_type"] == "PENDING"
    assert kernel.client.get("/kernel/health").json()["status"] == "degraded"


@pytest.mark.parametrize("case", AT_OPEN)
def test_a_required_plugin_that_fails_to_open(machine: Machine, case: str, make_kernel: MakeKernel) -> None:
    """As a required plugin it keeps the server from starting, with the same reason."""
    source, why = AT_OPEN[case]
    name = machine.module(INSTALLED + source)
    with pytest.raises(PluginError) as caught:
        make_kernel(name)
    assert f"plugin {name}: {why}" in caught.value.message


# ---------------------------------------------------------------- drivers
@pytest.mark.parametrize("way", [*OPENING])
@pytest.mark.parametrize(
    ("hook", "driver", "setting"),
    [
        ("lease_storages", LeaseDriver, "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"),
        ("brokers", BrokerDriver, "PREFECT_SERVER_EVENTS_MESSAGING_BROKER"),
    ],
)
def test_a_driver_that_fails_to_open(make_kernel: MakeKernel, hook: str, driver: Any, setting: str, way: str) -> None:
    """A chosen driver that cannot be opened keeps the server from starting, and its plugin is named."""
    declared = plugin(**{hook: [driver("acme", lifespan(way, []))]})
    with pytest.raises(PluginError, match=f"plugin acme: (lease storage|broker) acme failed: {OPENING[way]}"):
        make_kernel(declared, settings={**QUICK, setting: "acme"})


def test_a_storage_that_fails_to_open(make_kernel: MakeKernel) -> None:
    """So it is with a storage; what is wrong with the database itself is said of the database."""

    @asynccontextmanager
    async def away(url: str, settings: Any) -> AsyncIterator[Any]:
        raise StorageUnavailable("nobody is there")
        yield

    def broken(url: str, settings: Any) -> Any:
        raise ValueError("no good")

    with pytest.raises(PluginError, match="plugin acme: storage acme failed: ValueError: no good"):
        make_kernel(plugin(storages=[StorageDriver("acme", ("acme",), broken)]), storage="acme://x")
    with pytest.raises(StorageUnavailable, match="The database acme://x cannot be used: nobody is there"):
        make_kernel(plugin(storages=[StorageDriver("acme", ("acme",), away)]), storage="acme://x")
