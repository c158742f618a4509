"""The failure table while the server opens and runs: requests, middleware, lifespans, migrations, services."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import quart
from quart import Blueprint

from prefect_kernel import Service, hookimpl, web
from prefect_kernel.errors import PluginError, StorageUnavailable
from prefect_kernel.ports.broker import BrokerDriver
from prefect_kernel.ports.leases import LeaseDriver
from prefect_kernel.ports.storage import StorageDriver
from prefect_kernel.services import MAX_ROUND
from prefect_kernel.testing import KernelUnderTest, MakeKernel

from .support import Machine, state

QUICK = {"PREFECT_KERNEL_PLUGIN_TIMEOUT": 0.2}


def plugin(**hooks: Any) -> Any:
    """A plugin named acme with these hooks, each given by what it returns."""
    body: dict[str, Any] = {"__name__": "acme"}
    for name, declared in hooks.items():
        body[f"kernel_{name}"] = staticmethod(hookimpl(_returning(declared), specname=f"kernel_{name}"))
    return type("acme", (), body)()


def _returning(declared: Any) -> Any:
    def hook() -> Any:
        return declared

    return hook


def said(caplog: pytest.LogCaptureFixture, *words: str) -> bool:
    """Whether one record of the log has all these words, in its message or the error that it shows."""
    texts = [f"{record.getMessage()} {record.exc_info and record.exc_info[1]!r}" for record in caplog.records]
    return any(all(word in text for word in words) for text in texts)


# ---------------------------------------------------------------- routes
async def raises(request: web.Request) -> Any:
    """Fail."""
    raise ValueError("no good")


async def exits(request: web.Request) -> Any:
    """End the process."""
    sys.exit(3)


async def returns_nothing(request: web.Request) -> Any:
    """Forget the answer."""


async def returns_a_dict(request: web.Request) -> Any:
    """Answer as one does elsewhere."""
    return {"answer": 1}


async def returns_text_as_body(request: web.Request) -> Any:
    """Answer with a body that is not bytes."""
    return web.Reply(200, "text")  # type: ignore[arg-type]


async def returns_a_word_as_status(request: web.Request) -> Any:
    """Answer with a status that is no number."""
    return web.Reply("200", b"")  # type: ignore[arg-type]


async def returns_odd_headers(request: web.Request) -> Any:
    """Answer with headers that are text."""
    return web.Reply(200, b"", [("a", "b")])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (raises, "ValueError('no good')"),
        (exits, "SystemExit"),
        (returns_nothing, "it returned None"),
        (returns_a_dict, "it returned {'answer': 1}"),
        (returns_text_as_body, "whose body is 'text'"),
        (returns_a_word_as_status, "whose status is '200'"),
        (returns_odd_headers, "with the header ('a', 'b')"),
    ],
)
def test_a_route_that_fails(make_kernel: MakeKernel, handler: Any, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """A route that fails is a 500 for that request, the plugin is named in the log, and the server goes on."""
    group = web.Group("acme")
    group.get("/acme")(handler)
    kernel = make_kernel(plugin(routes=[group]))
    answer = kernel.client.get("/acme")
    assert (answer.status, answer.json()) == (500, {"exception_message": "Internal Server Error"})
    assert said(caplog, "GET /acme", "plugin acme", why)
    assert kernel.client.get("/hello").status == 200


def test_a_route_that_hangs(make_kernel: MakeKernel) -> None:
    """A route that hangs keeps its own client waiting, and nobody else."""
    hanging, group = asyncio.Event(), web.Group("acme")

    @group.get("/acme")
    async def hangs(request: web.Request) -> web.Reply:
        hanging.set()
        await asyncio.Event().wait()
        return web.no_content()

    kernel = make_kernel(plugin(routes=[group]))

    async def meanwhile() -> int:
        waiting = asyncio.create_task(kernel.client.ask("GET", "/acme"))
        await hanging.wait()
        answer = await kernel.client.ask("GET", "/hello")
        assert not waiting.done()
        waiting.cancel()
        return answer.status

    assert kernel.run(meanwhile()) == 200


@pytest.mark.parametrize("way", ["raises", "exits", "returns junk"])
def test_a_blueprint_that_fails(make_kernel: MakeKernel, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """So it is with a Quart blueprint's view."""
    blueprint = Blueprint("acme_pages", __name__)

    @blueprint.get("/acme")
    async def view() -> Any:
        if way == "raises":
            raise ValueError("no good")
        if way == "exits":
            raise SystemExit(3)
        return object()

    kernel = make_kernel(plugin(routes=[blueprint]))
    answer = kernel.client.get("/acme")
    assert (answer.status, answer.json()) == (500, {"exception_message": "Internal Server Error"})
    assert said(caplog, "GET /api/acme", "plugin acme")
    assert kernel.client.get("/hello").status == 200


@pytest.mark.parametrize("kind", ["group", "blueprint"])
@pytest.mark.parametrize("way", [ValueError("no good"), SystemExit(3)])
def test_a_websocket_that_fails(
    make_kernel: MakeKernel, way: Exception, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A WebSocket whose handler fails is closed with 1011, and the plugin is named in the log."""
    group, blueprint = web.Group("acme"), Blueprint("acme_pages", __name__)

    @group.websocket("/acme")
    async def sock(socket: web.WebSocket) -> None:
        await socket.accept()
        raise way

    @blueprint.websocket("/acme")
    async def view() -> None:
        await quart.websocket.accept()
        raise way

    kernel = make_kernel(plugin(routes=[group if kind == "group" else blueprint]))
    sent: list[dict[str, Any]] = []

    async def connect() -> None:
        connected = False

        async def receive() -> dict[str, Any]:
            nonlocal connected
            if connected:
                await asyncio.Event().wait()
            connected = True
            return {"type": "websocket.connect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "scheme": "ws",
            "http_version": "1.1",
            "path": "/api/acme",
            "raw_path": b"/api/acme",
            "root_path": "",
            "headers": [(b"host", b"testserver")],
            "subprotocols": [],
            "query_string": b"",
            "extensions": {},
        }
        async with asyncio.timeout(10):
            await kernel.kernel(scope, receive, send)

    kernel.run(connect())
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert sent[1]["code"] == 1011
    assert said(caplog, "/acme", "plugin acme")


# ---------------------------------------------------------------- middleware
async def check_raises(request: web.Request, endpoint: web.Endpoint) -> Any:
    """Fail."""
    raise ValueError("no good")


async def check_exits(request: web.Request, endpoint: web.Endpoint) -> Any:
    """End the process."""
    sys.exit(3)


async def check_times_out(request: web.Request, endpoint: web.Endpoint) -> Any:
    """Fail with the error that a time limit would."""
    raise TimeoutError("of my own")


async def check_returns(request: web.Request, endpoint: web.Endpoint) -> Any:
    """Return what might be meant as a verdict."""
    return True


async def check_hangs(request: web.Request, endpoint: web.Endpoint) -> Any:
    """Wait for what never comes."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("also", ["alone", "with another"])
@pytest.mark.parametrize(
    ("check", "status", "why"),
    [
        (check_raises, 500, "ValueError('no good')"),
        (check_exits, 500, "SystemExit"),
        (check_times_out, 500, "TimeoutError('of my own')"),
        (check_returns, 500, "returned True"),
        (check_hangs, 503, "did not return within 0.2 seconds"),
    ],
)
def test_middleware_that_fails(
    make_kernel: MakeKernel, check: Any, status: int, why: str, also: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A request whose check fails is refused, at a route of the table as well as at a blueprint's."""
    passed = []
    blueprint = Blueprint("acme_pages", __name__)

    @blueprint.get("/acme")
    async def view() -> str:
        passed.append("view")
        return ""

    async def other(request: web.Request, endpoint: web.Endpoint) -> None:
        """Let everybody pass."""

    checks = [check] if also == "alone" else [other, check]
    kernel = make_kernel(plugin(middleware=checks, routes=[blueprint]), settings=QUICK)
    assert [kernel.client.get(path).status for path in ("/hello", "/acme")] == [status, status]
    assert said(caplog, "middleware of plugin acme", why)
    assert passed == []


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


# ---------------------------------------------------------------- services
class Odd(Service):
    """A service that fails as it is told to."""

    name = "odd"
    essential = True
    jitter = 0
    way = "works"
    rounds = 0
    starts: asyncio.Queue[int]
    """The number of each round, once it has begun."""
    goes_on: asyncio.Event

    @classmethod
    def every(cls, settings: Any) -> float:
        return 5

    async def tick(self) -> None:
        type(self).rounds += 1
        self.starts.put_nowait(self.rounds)
        if self.way == "raises":
            raise ValueError("no good")
        if self.way == "exits":
            raise SystemExit(3)
        if self.way == "hangs":
            await self.goes_on.wait()


@pytest.fixture
def odd(make_kernel: MakeKernel) -> KernelUnderTest:
    """A kernel with an odd service, which can be `run`."""
    Odd.way, Odd.rounds = "works", 0
    kernel = make_kernel(plugin(services=[Odd]))

    async def prepare() -> None:
        Odd.starts, Odd.goes_on = asyncio.Queue(), asyncio.Event()

    kernel.run(prepare())
    return kernel


async def rounds(count: int) -> None:
    """Wait until the service has begun its next round, which must be this one."""
    assert await Odd.starts.get() == count


def health(kernel: KernelUnderTest) -> dict[str, Any]:
    """What is said of the odd service."""
    services = kernel.client.get("/kernel/health").json()["services"]
    found: dict[str, Any] = next(service for service in services if service["name"] == "odd")
    return found


@pytest.mark.parametrize("way", ["raises", "exits"])
def test_a_service_that_fails(odd: KernelUnderTest, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """A round that fails is logged and tried again, ever later; health says so until a round succeeds."""
    Odd.way = way
    (service,) = [s for s in odd.kernel.services() if s.name == "odd"]
    task = odd.run(start(service))
    odd.run(rounds(1))
    with caplog.at_level(logging.ERROR, "prefect_kernel.services"):
        for expected, seconds in ((2, 10), (3, 20), (4, 40), (5, 60), (6, 60)):
            odd.run(settled(task))
            odd.clock.advance(seconds=seconds - 0.1)
            odd.run(settled(task))
            assert Odd.rounds == expected - 1, "it came too early"
            odd.clock.advance(seconds=0.1)
            odd.run(rounds(expected))
    assert health(odd)["state"] == "failing"
    assert odd.client.get("/kernel/health").json()["status"] == "degraded"
    assert said(caplog, "service odd failed")
    Odd.way = "works"
    odd.clock.advance(seconds=60)
    odd.run(rounds(7))
    odd.run(settled(task))
    assert health(odd)["state"] == "running"


async def start(service: Service) -> asyncio.Task[None]:
    """Run a service as the supervisor does."""
    return asyncio.create_task(service.run())


async def settled(task: asyncio.Task[None]) -> None:
    """Let what is ready to run come to its next wait."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()


def test_a_service_that_hangs(odd: KernelUnderTest) -> None:
    """A round that does not end is told by health; without an essential service the server is not ready."""
    Odd.way = "hangs"
    (service,) = [s for s in odd.kernel.services() if s.name == "odd"]
    odd.run(start(service))
    odd.run(rounds(1))
    assert (health(odd)["state"], odd.client.get("/ready").status) == ("running", 200)
    odd.clock.advance(seconds=MAX_ROUND + 1)
    assert health(odd)["state"] == "stalled"
    ready = odd.client.get("/ready")
    assert (ready.status, ready.json()) == (503, {"message": "Services have stalled: odd"})
    assert odd.client.get("/health").json() is True


def test_a_service_that_does_not_stop(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that heeds no cancellation, or whose clean-up fails, does not keep the server from stopping."""
    from prefect_kernel import services

    monkeypatch.setattr(services, "STOP_SECONDS", 0.1)
    over = asyncio.Event()

    class Deaf(Service):
        name = "deaf"

        @classmethod
        def every(cls, settings: Any) -> float:
            return 5

        async def tick(self) -> None:
            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    continue

        async def stop(self) -> None:
            raise ValueError("no good")

    kernel = make_kernel(plugin(services=[Deaf]))
    supervisor = kernel.kernel.supervisor

    async def start_and_stop() -> None:
        supervisor.start([service for service in kernel.kernel.services() if service.name == "deaf"])
        await asyncio.sleep(0)
        await supervisor.stop()
        over.set()

    kernel.run(start_and_stop())
    assert said(caplog, "service deaf does not stop, and is left behind")
    assert said(caplog, "service deaf failed to stop", "no good")


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
