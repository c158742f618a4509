"""Each hook: what a plugin declares through it takes effect. `test_hook_<name>` must exist for every hook."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from prefect_kernel import FlowRule, Insert, Policy, Service, hookimpl, hookspecs, web
from prefect_kernel.cli import cli
from prefect_kernel.errors import Forbidden, PluginError
from prefect_kernel.migrations import Migration, MigrationSet
from prefect_kernel.ports.broker import BrokerDriver
from prefect_kernel.ports.clock import ClockDriver
from prefect_kernel.ports.leases import LeaseDriver
from prefect_kernel.ports.storage import StorageDriver
from prefect_kernel.settings import Setting
from prefect_kernel.sql import Statement
from prefect_kernel.testing import MakeKernel, SettableClock
from prefect_kernel_plugins.automations.actions import Action
from prefect_kernel_plugins.automations.triggers import EventTrigger
from prefect_kernel_plugins.broker_memory import MemoryBroker

from .support import Machine

HOOKS = [name for name in vars(hookspecs) if name.startswith("kernel_")]


def test_every_hook_has_a_test() -> None:
    """A hook without a test in this file cannot be added."""
    assert [name for name in HOOKS if f"test_hook_{name.removeprefix('kernel_')}" not in globals()] == []


def plugin(**hooks: Any) -> Any:
    """A plugin with these hooks: `routes=[…]` is what its `kernel_routes` returns; a function is the hook itself."""
    body: dict[str, Any] = {"__name__": "acme"}
    for name, value in hooks.items():
        function = value if callable(value) else _returning(value)
        function.__name__ = f"kernel_{name}"
        body[f"kernel_{name}"] = staticmethod(hookimpl(function))
    return type("acme", (), body)()


def _returning(value: Any) -> Any:
    def hook() -> Any:
        return value

    return hook


def test_hook_settings(make_kernel: MakeKernel) -> None:
    """A plugin's setting is read from the same sources as Prefect's, and other hooks can look it up."""
    seen = []

    def routes(settings: Any) -> Any:
        seen.append(settings.plugin["PREFECT_KERNEL_ACME_DAYS"])
        return []

    declared = plugin(settings=[Setting("PREFECT_KERNEL_ACME_DAYS", int, 3, "Days.")], routes=routes)
    make_kernel(declared)
    make_kernel(declared, settings={"PREFECT_KERNEL_ACME_DAYS": "5"})
    assert seen == [3, 5]


def test_hook_storages(make_kernel: MakeKernel, tmp_path: Path) -> None:
    """The scheme of the connection URL chooses a plugin's storage."""
    from prefect_kernel_plugins.storage_sqlite import open_sqlite

    opened = []

    def open_acme(url: str, settings: Any) -> Any:
        opened.append(url)
        return open_sqlite(url.replace("acme:", "sqlite:"), settings)

    url = f"acme:///{tmp_path / 'acme.db'}"
    kernel = make_kernel(plugin(storages=[StorageDriver("acme", ("acme",), open_acme)]), storage=url)
    assert opened == [url]
    assert kernel.flow_run()["state_type"] == "PENDING"


def test_hook_brokers(make_kernel: MakeKernel) -> None:
    """A setting chooses a plugin's broker."""
    mine: Any = MemoryBroker()

    @asynccontextmanager
    async def open_acme(settings: Any) -> AsyncIterator[Any]:
        yield mine

    driver = BrokerDriver("acme", open_acme)
    kernel = make_kernel(plugin(brokers=[driver]), settings={"PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "acme"})
    assert kernel.kernel.broker is mine


def test_hook_clocks(machine: Machine) -> None:
    """A plugin's clock stands beside the system's."""
    kernel = machine.boot(plugin(clocks=[ClockDriver("acme", SettableClock)]))
    assert [driver.name for _, driver in kernel.plugins.collect("kernel_clocks")] == ["system", "acme"]


def test_hook_lease_storages(make_kernel: MakeKernel) -> None:
    """A setting chooses a plugin's lease storage, by name or alias."""
    mine: Any = object()

    @asynccontextmanager
    async def open_acme(settings: Any) -> AsyncIterator[Any]:
        yield mine

    declared = plugin(lease_storages=[LeaseDriver("acme", open_acme, ("acme.leases",))])
    for name in ("acme", "acme.leases"):
        kernel = make_kernel(declared, settings={"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": name})
        assert kernel.kernel.leases is mine


def test_hook_servers(machine: Machine) -> None:
    """`--server` can choose a plugin's ASGI server."""

    class Acme:
        name = "acme"

        async def serve(self, app: Any, config: Any, ready: Any, stop: Any) -> None:
            """Serve nobody."""

    runner = Acme()
    kernel = machine.boot(plugin(servers=[runner]), PREFECT_KERNEL_SERVER="acme")
    assert kernel.server_runner("acme") is runner


def test_hook_tables(machine: Machine) -> None:
    """A plugin's tables begin with its name; any other is refused, since it might be somebody else's."""
    kernel = machine.boot(plugin(tables=[sa.Table("acme_note", sa.MetaData())]))
    assert [table.name for _, table in kernel.plugins.collect("kernel_tables")] == ["acme_note"]
    with pytest.raises(PluginError, match="plugin acme: the name of table 'flow_note' must begin with 'acme_'"):
        machine.boot(plugin(tables=[sa.Table("flow_note", sa.MetaData())]))


def test_hook_migrations(make_kernel: MakeKernel, database_url: str) -> None:
    """A plugin's tables are there once the kernel is open."""
    create = ["CREATE TABLE acme_note (text VARCHAR NOT NULL)", "INSERT INTO acme_note VALUES ('a:b')"]
    migrations = MigrationSet("acme", [Migration("0001", {"sqlite": create, "postgresql": create})])
    kernel = make_kernel(plugin(migrations=migrations), storage=database_url)

    def notes() -> Any:
        return [row[0] for row in (yield Statement(sa.text("SELECT text FROM acme_note"))())]

    assert kernel.run(kernel.kernel.storage.read(notes)) == ["a:b"]


def test_hook_authenticators(machine: Machine) -> None:
    """Ways to authenticate are collected; each name is there once."""

    class Acme:
        name = "acme"

        async def request(self, request: web.Request) -> web.Caller | None:
            return None

        async def socket(self, socket: web.WebSocket, token: str | None) -> web.Caller | None:
            return None

    kernel = machine.boot(plugin(authenticators=[Acme()]))
    assert [found.name for _, found in kernel.plugins.collect("kernel_authenticators")] == ["acme"]


def test_hook_middleware(make_kernel: MakeKernel) -> None:
    """Middleware sees each request and its endpoint first, in load order, and may refuse it."""
    seen = []

    async def first(request: web.Request, endpoint: web.Endpoint) -> None:
        seen.append(("first", endpoint.method, endpoint.path))
        request.state["who"] = request.header("x-who")

    async def second(request: web.Request, endpoint: web.Endpoint) -> None:
        seen.append(("second", request.state["who"], endpoint.permission))
        if request.state["who"] == "mallory":
            raise Forbidden("Not you.")

    kernel = make_kernel(plugin(middleware=[first, second]))
    assert kernel.client.get("/hello", headers={"X-Who": "alice"}).status == 200
    refused = kernel.client.get("/hello", headers={"X-Who": "mallory"})
    assert (refused.status, refused.json()) == (403, {"detail": "Not you."})
    assert seen == [
        ("first", "GET", "/hello"),
        ("second", "alice", "read"),
        ("first", "GET", "/hello"),
        (
            "second",
            "mallory",
            "read",
        ),
    ]


def test_no_middleware_costs_nothing(machine: Machine) -> None:
    """Without middleware there is nothing to call, and with one nothing but that."""

    async def only(request: web.Request, endpoint: web.Endpoint) -> None:
        """Let everybody pass."""

    assert machine.boot().check_request is None
    assert machine.boot(plugin(middleware=[only])).check_request is not None


def test_hook_routes(make_kernel: MakeKernel) -> None:
    """A group's routes and a Quart blueprint's are served below the API's base path."""
    from quart import Blueprint

    group, blueprint = web.Group("acme", prefix="/acme"), Blueprint("acme", __name__, url_prefix="/plain")

    @group.get("/notes/{name}")
    async def read_note(request: web.Request) -> web.Reply:
        return web.json({"name": request.path["name"], "plugin": "acme"})

    @blueprint.get("/notes/<name>")
    async def plain_note(name: str) -> dict[str, str]:
        return {"plain": name}

    kernel = make_kernel(plugin(routes=[group, blueprint]))
    assert kernel.client.get("/acme/notes/a%20b").json()["plugin"] == "acme"
    answer = kernel.client.get("/plain/notes/x")
    assert (answer.status, answer.json()) == (200, {"plain": "x"})
    assert kernel.client.get("/plain/nothing").json() == {"detail": "Not Found"}


def test_hook_policies(machine: Machine) -> None:
    """A plugin's policy is one among the others."""
    rule = type("AcmeRule", (FlowRule,), {})
    kernel = machine.boot(plugin(policies=[Policy("acme-flow", "flow_run", [rule])]))
    assert kernel.policies["acme-flow"].origin == {"AcmeRule": "acme"}


def test_hook_policy_edits(machine: Machine) -> None:
    """A rule is put between two core rules."""
    rule = type("AcmeRule", (FlowRule,), {"name": "acme.Rule"})
    edit = Insert(rule, "core-flow", after="WaitForScheduledTime", before="RetryFailedFlows")
    rules = [r.rule_name() for r in machine.boot(plugin(policy_edits=[edit])).policies["core-flow"].rules]
    at = rules.index("acme.Rule")
    assert rules[at - 1 : at + 2] == ["WaitForScheduledTime", "acme.Rule", "RetryFailedFlows"]


def test_hook_triggers(machine: Machine) -> None:
    """Kinds of triggers are classes, each with a type of its own."""

    class Acme(EventTrigger):
        type: Literal["acme-seen"] = "acme-seen"  # type: ignore[assignment]

    kernel = machine.boot(plugin(triggers=[Acme]))
    assert list(kernel.plugins.collect("kernel_triggers"))[-1] == ("acme", Acme)
    for wrong in ([Acme, Acme], [type("Twin", (Acme,), {})] * 2, [EventTrigger]):
        with pytest.raises(PluginError, match=r"there is a kind of trigger '(acme-seen|event)' already"):
            machine.boot(plugin(triggers=wrong))
    with pytest.raises(PluginError, match="which is not a kind of trigger"):
        machine.boot(plugin(triggers=[type("Plain", (), {})]))


def test_hook_actions(machine: Machine) -> None:
    """Kinds of actions are classes, each with a type of its own, and do something."""

    class Acme(Action):
        type: Literal["acme-done"] = "acme-done"

    class Nameless(Action):
        pass

    kernel = machine.boot(plugin(actions=[Acme]))
    assert list(kernel.plugins.collect("kernel_actions"))[-1] == ("acme", Acme)
    with pytest.raises(PluginError, match="there is a kind of action 'acme-done' already"):
        machine.boot(plugin(actions=[Acme, Acme]))
    for wrong in (Nameless, type("Plain", (), {}), Acme()):
        with pytest.raises(PluginError, match="which is not a kind of action"):
            machine.boot(plugin(actions=[wrong]))


def test_hook_event_handlers(machine: Machine) -> None:
    """Handlers of events are collected."""

    async def handle(kernel: Any, events: list[dict[str, Any]]) -> None:
        """Take them."""

    kernel = machine.boot(plugin(event_handlers=[handle]))
    assert list(kernel.plugins.collect("kernel_event_handlers")) == [("acme", handle)]


def test_hook_lifespans(make_kernel: MakeKernel) -> None:
    """Lifespans are entered in order with the database open, and left in reverse order while it still is."""
    order = []

    def lifespan(name: str) -> Any:
        @asynccontextmanager
        async def enter(kernel: Any) -> AsyncIterator[None]:
            await kernel.storage.ping()
            order.append(f"{name} in")
            yield
            await kernel.storage.ping()
            order.append(f"{name} out")

        return enter

    kernel = make_kernel(plugin(lifespans=[lifespan("a"), lifespan("b")]))
    assert order == ["a in", "b in"]
    kernel.run(kernel.kernel.close())
    assert order == ["a in", "b in", "b out", "a out"]


def test_hook_services(make_kernel: MakeKernel) -> None:
    """A plugin's service runs beside the others."""

    class Count(Service):
        name = "acme-count"
        rounds = 0

        @classmethod
        def every(cls, settings: Any) -> float:
            return 5

        async def tick(self) -> None:
            Count.rounds += 1

    kernel = make_kernel(plugin(services=[Count]))
    kernel.tick("acme-count")
    assert Count.rounds == 1


def test_hook_commands(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin's command is one of `prefect-kernel`, is listed with them, and cannot take the place of one."""
    machine.install(
        """
        import click
        from prefect_kernel import hookimpl

        KERNEL_API = ">=1.0"

        @click.command("acme-greet", help="Greet somebody.")
        @click.argument("who")
        def greet(who):
            click.echo(f"Hello, {who}.")

        @click.command("serve")
        def serve():
            click.echo("mine")

        @hookimpl
        def kernel_commands():
            return [greet, serve]
        """
    )
    monkeypatch.setenv("PREFECT_HOME", str(machine.directory))
    run = CliRunner().invoke
    assert run(cli, ["acme-greet", "Ada"]).output == "Hello, Ada.\n"
    assert "acme-greet  Greet somebody." in run(cli, ["--help"]).output
    assert "Run the server" in run(cli, ["serve", "--help"]).output
    assert run(cli, ["acme-nothing"]).exit_code == 2


def test_all_hooks_in_order(make_kernel: MakeKernel) -> None:
    """Every hook is called once, hook by hook in the order of their list, for one plugin after the other."""
    called: list[tuple[str, str]] = []

    def recorder(who: str) -> Any:
        def record(name: str) -> Any:
            def hook() -> Any:
                called.append((name, who))
                return None if name == "kernel_migrations" else []

            return hook

        made = plugin(**{name.removeprefix("kernel_"): record(name) for name in HOOKS})
        type(made).__name__ = who
        made.__name__ = who
        return made

    kernel = make_kernel(recorder("one"), recorder("two"))
    kernel.flow_run()
    assert called == [(name, who) for name in HOOKS for who in ("one", "two")]


def test_commands_are_click_commands() -> None:
    """The kernel's own commands are click's, so that those of plugins are their equals."""
    assert all(isinstance(command, click.Command) for command in cli.commands.values())
