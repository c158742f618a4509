"""Names that may be there only once: the plugin that comes second is at fault, whole and by name."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from click import Command
from quart import Blueprint

from prefect_kernel import FlowRule, Insert, Policy, Remove, Service, hookimpl, web
from prefect_kernel.errors import PluginError
from prefect_kernel.migrations import MigrationSet
from prefect_kernel.ports.broker import BrokerDriver
from prefect_kernel.ports.clock import ClockDriver
from prefect_kernel.ports.leases import LeaseDriver
from prefect_kernel.ports.storage import StorageDriver
from prefect_kernel.settings import Setting
from prefect_kernel.testing import SettableClock

from .support import Machine


@asynccontextmanager
async def opened(*arguments: Any) -> Any:
    """Open nothing."""
    yield None


class Ticking(Service):
    """A service without a name."""

    @classmethod
    def every(cls, settings: Any) -> float:
        return 1

    async def tick(self) -> None:
        """Do nothing."""


class Runner:
    """A server."""

    name = "hypercorn"

    async def serve(self, app: Any, config: Any, ready: Any, stop: Any) -> None:
        """Serve nobody."""


def routes(method: str, path: str, *, root: bool = False) -> web.Group:
    """A group with one route."""
    group = web.Group("acme", root=root)

    @group.route(method, path)
    async def handler(request: web.Request) -> web.Reply:
        return web.no_content()

    return group


def socket(path: str) -> web.Group:
    """A group with one WebSocket."""
    group = web.Group("acme")

    @group.websocket(path)
    async def handler(socket: web.WebSocket) -> None:
        """Close at once."""

    return group


def blueprint(path: str, name: str = "acme", method: str = "GET") -> Blueprint:
    """A blueprint with one route."""
    made = Blueprint(name, __name__)

    @made.route(path, methods=[method])
    async def view(**arguments: str) -> str:
        return ""

    return made


def sock_blueprint(path: str) -> Blueprint:
    """A blueprint with one WebSocket."""
    made = Blueprint("acme", __name__)

    @made.websocket(path)
    async def view() -> None:
        """Close at once."""

    return made


TABLE = sa.Table("acme_note", sa.MetaData())

TAKEN: dict[str, tuple[str, Any, str]] = {
    "setting": ("settings", Setting("PREFECT_KERNEL_SERVER", str, "", "x"), "a setting named PREFECT_KERNEL_SERVER"),
    "storage": (
        "storages",
        StorageDriver("sqlite", ("acme",), opened),
        "a storage 'sqlite' already, of plugin storage_",
    ),
    "scheme": ("storages", StorageDriver("acme", ("postgresql",), opened), "URL scheme 'postgresql' already"),
    "broker": ("brokers", BrokerDriver("memory", opened), "a broker 'memory' already, of plugin broker_memory"),
    "clock": ("clocks", ClockDriver("system", SettableClock), "a clock 'system' already, of plugin clock_system"),
    "leases": ("lease_storages", LeaseDriver("memory", opened), "a lease storage 'memory' already"),
    "alias": (
        "lease_storages",
        LeaseDriver("acme", opened, ("prefect.server.concurrency.lease_storage.memory",)),
        "a lease storage 'prefect.server.concurrency.lease_storage.memory' already",
    ),
    "server": ("servers", Runner(), "a server 'hypercorn' already"),
    "route": ("routes", routes("POST", "/flows/"), "a route 'POST /api/flows/' already, of plugin flows"),
    "parameter": ("routes", routes("GET", "/flows/{other:uuid}"), "a route 'GET /api/flows/{:uuid}' already"),
    "root": ("routes", routes("GET", "/api/health", root=True), "a route 'GET /api/health' already, of plugin root"),
    "socket": ("routes", socket("/events/in"), "a WebSocket '/api/events/in' already, of plugin events"),
    "blueprint": ("routes", blueprint("/flows/filter", method="POST"), "a route 'POST /api/flows/filter' already"),
    "converter": ("routes", blueprint("/flows/<uuid:id>"), "a route 'GET /api/flows/{:uuid}' already"),
    "plain converter": ("routes", blueprint("/flows/name/<string:name>"), "a route 'GET /api/flows/name/{}' already"),
    "blueprint socket": ("routes", sock_blueprint("/events/in"), "a WebSocket '/api/events/in' already"),
    "policy": ("policies", Policy("core-flow", "flow_run", []), "a policy 'core-flow' already, of plugin policies"),
    "service": ("services", type("S", (Ticking,), {"name": "event-persister"}), "a service 'event-persister' already"),
    "command": ("commands", Command("serve"), "a command 'serve' already"),
    "command of a built-in": ("commands", Command("explain"), "a command 'explain' already, of plugin explain"),
}
"""What a built-in has already: hook, declaration, and what is said."""

TWICE: dict[str, tuple[str, list[Any]]] = {
    "table": ("tables", [TABLE, TABLE]),
    "route": ("routes", [routes("GET", "/acme"), routes("GET", "/acme")]),
    "routes of one shape": ("routes", [routes("GET", "/acme/{a}"), routes("GET", "/acme/{b}")]),
    "group and blueprint": ("routes", [routes("GET", "/acme/{a}"), blueprint("/acme/<b>")]),
    "blueprint": ("routes", [blueprint("/one"), blueprint("/two")]),
    "command": ("commands", [Command("acme"), Command("acme")]),
    "service": ("services", [type("S", (Ticking,), {"name": "acme"})] * 2),
}


def plugin(name: str, hook: str, declared: list[Any]) -> Any:
    """A plugin that declares something."""

    def implementation() -> Any:
        return declared

    implementation.__name__ = f"kernel_{hook}"
    return type(name, (), {"__name__": name, f"kernel_{hook}": staticmethod(hookimpl(implementation))})()


@pytest.mark.parametrize("case", TAKEN)
def test_what_a_built_in_has(machine: Machine, case: str) -> None:
    """A plugin cannot take a name that a built-in has."""
    hook, declared, said = TAKEN[case]
    with pytest.raises(PluginError, match=rf"\Aplugin acme: there is .*{said.removeprefix('a ').replace('{', '.')}"):
        machine.boot(plugin("acme", hook, [declared]))


@pytest.mark.parametrize("case", TWICE)
def test_twice_in_one_plugin(machine: Machine, case: str) -> None:
    """A plugin cannot declare one name twice."""
    hook, declared = TWICE[case]
    with pytest.raises(PluginError, match=r"\Aplugin acme: there is a .* already$"):
        machine.boot(plugin("acme", hook, declared))


def test_two_plugins_share_a_set_of_migrations(machine: Machine) -> None:
    """The ledger of migrations is by name: two plugins cannot have one."""
    sets = [type(f"p{n}", (), {"__name__": f"p{n}"})() for n in (1, 2)]
    for made in sets:
        made.kernel_migrations = hookimpl(lambda: MigrationSet("acme", []), specname="kernel_migrations")
    with pytest.raises(PluginError, match="plugin p2: there is a set of migrations 'acme' already, of plugin p1"):
        machine.boot(*sets)


def test_another_method_or_parameter_is_no_clash(machine: Machine) -> None:
    """A path may be shared by methods, and ids and names may stand at one place: ids are looked for first."""
    groups = [routes("PUT", "/flows/"), routes("GET", "/flows/{name}"), routes("GET", "/acme/{x:path}")]
    assert machine.boot(plugin("acme", "routes", groups)).dispatcher.endpoints.match("/api/flows/some-name") is not None


def test_the_later_one_is_skipped(machine: Machine) -> None:
    """Of two installed plugins that want one name, the second is skipped, and the server starts with the first."""
    source = """
        from prefect_kernel import Policy, hookimpl

        @hookimpl
        def kernel_policies():
            return [Policy("acme-flow", "flow_run", [])]
        """
    first, second = machine.install(source, entry="a_first"), machine.install(source, entry="b_second")
    kernel = machine.boot()
    states = {plugin.name: plugin.state for plugin in kernel.plugins.known}
    assert (states[first], states[second]) == ("loaded", "skipped")
    assert kernel.policies["acme-flow"].origin == {}


def test_a_bad_edit_skips_its_plugin_and_who_leans_on_it(machine: Machine) -> None:
    """A bad edit of an installed plugin skips that plugin, and then those whose edits needed its rules."""
    source = """
        from prefect_kernel import FlowRule, Insert, hookimpl

        class {rule}(FlowRule): ...

        @hookimpl
        def kernel_policy_edits(settings):
            return [{edits}]
        """
    bad = 'Insert(Bad, "core-flow", after="CopyScheduledTime"), Insert(Bad, "core-flw", after="x")'
    machine.install(source.format(rule="Bad", edits=bad), entry="bad")
    machine.install(source.format(rule="Leaning", edits='Insert(Leaning, "core-flow", after="Bad")'), entry="leaning")
    machine.install(
        source.format(rule="Good", edits='Insert(Good, "core-flow", after="RetryFailedFlows")'), entry="good"
    )
    kernel = machine.boot()
    found = {plugin.name: plugin.reason for plugin in kernel.plugins.known if plugin.state == "skipped"}
    assert list(found) == ["bad", "leaning"]
    assert found["bad"].startswith("plugin bad: there is no policy named 'core-flw'; known: ")
    assert found["leaning"] == "plugin leaning: no rule 'Bad' in core-flow"
    assert "Good" in kernel.policies["core-flow"].origin


def test_a_bad_edit_of_a_required_plugin(machine: Machine) -> None:
    """A bad edit of a required plugin keeps the server from starting."""
    edit = Insert(type("R", (FlowRule,), {}), "core-flow", after="WaitForSchedledTime")
    with pytest.raises(PluginError, match=r"plugin acme: no rule 'WaitForSchedledTime' .* mean 'WaitForScheduledTime'"):
        machine.boot(plugin("acme", "policy_edits", [edit]))


def test_removing_a_rule_is_loud(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """Removing a built-in rule is allowed, and said in the log at each start."""
    kernel = machine.boot(plugin("acme", "policy_edits", [Remove("PreventPendingTransitions", "core-flow")]))
    assert "PreventPendingTransitions" not in kernel.policies["core-flow"].origin
    assert "plugin acme takes rule PreventPendingTransitions out of core-flow" in caplog.messages


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (routes("GET", "acme", root=True), "the path of GET acme does not begin with a slash"),
        (routes("GET", "acme"), "the path of GET /apiacme does not begin with a slash"),
        (socket("acme"), "the path of WebSocket /apiacme does not begin with a slash"),
        (routes("GET", "/acme/{id:int}"), "the path of GET /api/acme/{id:int} cannot be served"),
        (routes("GET", "/acme/{id"), "the path of GET /api/acme/{id cannot be served"),
        (routes("GET", "/acme/a{id}"), "the path of GET /api/acme/a{id} cannot be served"),
        (routes("GET", "/acme/{all:path}/x"), "the path of GET /api/acme/{all:path}/x cannot be served"),
        (socket("/acme/{id:int}"), "the path of WebSocket /api/acme/{id:int} cannot be served"),
        (blueprint("/acme/<nothing:x>"), "blueprint 'acme' cannot be used"),
    ],
)
def test_routes_that_cannot_be_served(machine: Machine, group: Any, said: str) -> None:
    """Routes that could never be reached, or whose declaration is nonsense, are errors at boot."""
    with pytest.raises(PluginError, match=f"plugin acme: {said}"):
        machine.boot(plugin("acme", "routes", [group]))


def test_handlers_that_are_not_async(machine: Machine) -> None:
    """A handler that is a plain function is an error at boot, for routes and for WebSockets."""
    plain, sock = web.Group("acme"), web.Group("acme")

    def handler(given: Any) -> Any:
        """Answer at once."""

    plain.get("/acme")(handler)
    sock.websocket("/acme")(handler)
    with pytest.raises(PluginError, match="plugin acme: the handler of GET /api/acme is not async"):
        machine.boot(plugin("acme", "routes", [plain]))
    with pytest.raises(PluginError, match="plugin acme: the handler of WebSocket /acme is not async"):
        machine.boot(plugin("acme", "routes", [sock]))


def test_a_body_that_cannot_be_validated(machine: Machine) -> None:
    """A body of a type that pydantic knows nothing of is an error at boot."""
    group = web.Group("acme")

    @group.post("/acme", body=Runner)
    async def take(request: web.Request, body: Runner) -> web.Reply:
        return web.no_content()

    with pytest.raises(PluginError, match="plugin acme: POST /api/acme cannot be served") as caught:
        machine.boot(plugin("acme", "routes", [group]))
    assert len(caught.value.message.splitlines()) == 1
