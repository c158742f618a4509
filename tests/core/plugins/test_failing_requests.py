"""The failure table while requests are served: routes, blueprints, WebSockets, middleware."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
import quart
from quart import Blueprint

from prefect_kernel import web
from prefect_kernel.testing import MakeKernel

from .support import QUICK, plugin, said


# ---------------------------------------------------------------- routes
async def raises(request: web.Request) -> Any:
    """Fail."""
    raise ValueError("no good")


async def exits(request: web.Request) -> Any:
    """End the process."""
    sys.exit(3)


async def is_cancelled(request: web.Request) -> Any:
    """Wait for what somebody has cancelled."""
    waiting = asyncio.create_task(asyncio.sleep(60))
    waiting.cancel()
    await waiting


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


def answers(status: int, *headers: tuple[bytes, bytes]) -> Any:
    """A route that answers with what would spoil the answer for the client, or for a proxy."""

    async def handler(request: web.Request) -> Any:
        return web.Reply(status, b"", list(headers))

    return handler


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (answers(101), "with the status 101"),
        (answers(99), "with the status 99"),
        (answers(200, (b"a", b"1\r\nset-cookie: x")), "which would end the header or be two"),
        (answers(200, (b"a\r\nb", b"1")), "which would end the header or be two"),
        (answers(200, (b"Transfer-Encoding", b"chunked")), "which the server sets by itself"),
        (raises, "ValueError('no good')"),
        (exits, "SystemExit"),
        (is_cancelled, "CancelledError"),
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


async def check_is_cancelled(request: web.Request, endpoint: web.Endpoint) -> Any:
    """Wait for what somebody has cancelled."""
    await is_cancelled(request)


async def check_hangs(request: web.Request, endpoint: web.Endpoint) -> Any:
    """Wait for what never comes."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("also", ["alone", "with another"])
@pytest.mark.parametrize(
    ("check", "status", "why"),
    [
        (check_raises, 500, "ValueError('no good')"),
        (check_exits, 500, "SystemExit"),
        (check_is_cancelled, 500, "CancelledError"),
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


# ---------------------------------------------------------------- authenticators
AUTHENTICATORS: dict[str, tuple[Any, str]] = {
    "word": ("ada", "gave 'ada', and not a web.Caller"),
    "true": (True, "gave True, and not a web.Caller"),
    "nameless": (web.Caller(None), "and not a web.Caller with a name"),  # type: ignore[arg-type]
    "permission": (web.Caller("ada", "root"), "and not a web.Caller with a name and a permission"),
    "raises": (ValueError("no good"), "no good"),
    "exits": (SystemExit(3), "raised SystemExit(3)"),
    "cancels": (asyncio.CancelledError(), "raised CancelledError()"),
}


@pytest.mark.parametrize("case", AUTHENTICATORS)
def test_an_authenticator_that_fails(make_kernel: MakeKernel, case: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it does lets nobody in, and costs the server nothing but that request."""
    given, why = AUTHENTICATORS[case]

    class Way:
        name = "acme"

        async def request(self, request: web.Request) -> Any:
            if isinstance(given, BaseException):
                raise given
            return given

        async def socket(self, socket: web.WebSocket, token: str | None) -> Any:
            return None

    kernel = make_kernel(plugin(authenticators=[Way()]))
    assert kernel.client.get("/hello").status == 500
    assert said(caplog, why)
    assert kernel.client.get("/health").status == 200
