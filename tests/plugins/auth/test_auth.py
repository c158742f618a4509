"""Who gets in, and with which answers those are turned away who do not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from quart import Blueprint

from prefect_kernel import hookimpl, web
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from tests.support.callers import ACCEPTED, SUCCESS, auth, basic, routes, talk

SECRET = "admin:pÄss:wörd"
OPEN = {("GET", "/api/health"), ("GET", "/api/ready"), ("POST", "/api/kernel/hooks/x")}
"""Of these, a webhook asks for a secret of its own."""


WRONG = [
    "",
    basic("admin:pass"),
    basic(SECRET + "x"),
    basic(""),
    basic(SECRET).replace("Basic", "basic"),
    basic(SECRET).replace("Basic", "Bearer"),
    "Basic",
    "Basic !!!",
    "Basic " + "x" * 10_000,
    f"Basic {SECRET}".encode().decode("latin-1"),
    basic(SECRET) + " more",
]


@pytest.fixture
def guarded(make_kernel: MakeKernel) -> KernelUnderTest:
    """A kernel with an auth string."""
    return make_kernel(settings={"PREFECT_SERVER_API_AUTH_STRING": SECRET})


def test_every_route_is_guarded(guarded: KernelUnderTest) -> None:
    """All that is below the API's path turns strangers away, but for three; the rest is for everybody."""
    every = routes(guarded.kernel)
    assert {(method, path) for method, path, open_ in every if open_ and path.startswith("/api")} == OPEN
    for method, path, open_ in every:
        for header in (None, basic("no:body")):
            headers = {} if header is None else {"Authorization": header}
            answer = guarded.client.request(method, path, headers=headers, absolute=True)
            assert (answer.status == 401) is not open_, (method, path)
            if answer.status == 401:
                assert answer.json() == {"exception_message": "Unauthorized"}
                assert "www-authenticate" not in answer.headers
        known = guarded.client.request(method, path, headers={"Authorization": basic(SECRET)}, absolute=True)
        assert known.status not in (401, 403, 500), (method, path)


@pytest.mark.parametrize("header", WRONG)
def test_wrong_credentials(guarded: KernelUnderTest, header: str) -> None:
    """Nothing but the very string lets anybody in."""
    assert guarded.client.get("/hello", headers={"Authorization": header}).status == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 401),
        ("GET", "/api/hello/", 401),
        ("PUT", "/api/hello", 401),
        ("POST", "/api/health", 401),
        ("HEAD", "/api/health", 401),
        ("GET", "/api/health/", 401),
        ("GET", "/api/variables/name/health", 401),
        ("GET", "/api//health", 401),
        ("GET", "/api", 404),
        ("GET", "/ui-settings", 200),
        ("GET", "/docs", 200),
        ("GET", "/api/docs", 401),
    ],
)
def test_what_is_no_route(guarded: KernelUnderTest, method: str, path: str, status: int) -> None:
    """Strangers do not learn what there is."""
    assert guarded.client.request(method, path, absolute=True).status == status


def test_preflights_need_no_credentials(guarded: KernelUnderTest) -> None:
    """Browsers send none with them."""
    headers = {"Origin": "http://x", "Access-Control-Request-Method": "POST"}
    assert guarded.client.request("OPTIONS", "/flows/", headers=headers).status == 200


class Roles:
    """Callers by a header, with the permission that they name."""

    name = "roles"

    async def request(self, request: web.Request) -> web.Caller | None:
        role = request.header("x-role")
        if role == "broken":
            raise RuntimeError("no such luck")
        return web.Caller("somebody", role) if role in ("read", "run", "edit", "admin") else None

    async def socket(self, socket: web.WebSocket, token: str | None) -> web.Caller | None:
        return web.Caller("somebody", token) if token in ("read", "run") else None


class Acme:
    """A plugin with roles, and routes of each kind."""

    def __init__(self) -> None:
        self.group = group = web.Group("acme", prefix="/acme")
        self.blueprint = Blueprint("acme", __name__, url_prefix="/acme/quart")

        @group.delete("/", permission="admin")
        async def delete(request: web.Request) -> web.Reply:
            return web.json(request.state["caller"].name)

        @group.websocket("/socket")
        async def socket(socket: web.WebSocket) -> None:
            if await socket.handshake():
                assert socket.caller is not None
                await socket.send(socket.caller.permission)

        @self.blueprint.route("/", methods=["GET", "POST"])
        async def view() -> str:
            return "quart"

        @self.blueprint.websocket("/socket")
        async def quart_socket() -> None:
            from quart import websocket

            await websocket.accept()
            await websocket.send("quart")

    @hookimpl
    def kernel_authenticators(self, settings: Any) -> list[Roles]:
        return [Roles()]

    @hookimpl
    def kernel_routes(self, settings: Any) -> list[Any]:
        return [self.group, self.blueprint]


def test_permissions(make_kernel: MakeKernel) -> None:
    """A caller may do what their permission allows, with several ways to authenticate, and on blueprints."""
    kernel = make_kernel(Acme(), settings={"PREFECT_SERVER_API_AUTH_STRING": SECRET})
    ask = kernel.client.request

    def told(method: str, path: str, role: str) -> int:
        return ask(method, path, headers={"X-Role": role}).status

    for role, read, admin, view in (("read", 200, 403, 403), ("run", 200, 403, 200), ("admin", 200, 200, 200)):
        assert told("GET", "/hello", role) == read
        assert told("DELETE", "/acme/", role) == admin
        assert told("POST", "/acme/quart/", role) == view
    assert told("GET", "/hello", "stranger") == 401
    assert told("POST", "/acme/quart/", "stranger") == 401
    assert told("GET", "/hello", "broken") == 500
    assert ask("DELETE", "/acme/", headers={"Authorization": basic(SECRET)}).json() == "basic"


def test_sockets(make_kernel: MakeKernel) -> None:
    """The first message says who has opened a socket; without the subprotocol nobody gets in."""
    kernel = make_kernel(Acme(), settings={"PREFECT_SERVER_API_AUTH_STRING": SECRET})
    path = "/api/acme/socket"
    assert talk(kernel, path, auth(SECRET)) == [ACCEPTED, SUCCESS, "admin"]
    assert talk(kernel, path, auth("run")) == [ACCEPTED, SUCCESS, "run"]
    assert talk(kernel, path, auth("read")) == [ACCEPTED, ("close", "The permission 'run' is needed")]
    for token in (None, "", 0):
        assert talk(kernel, path, auth(token)) == [ACCEPTED, ("close", "Auth required but no token provided")]
    for wrong in ("wrong", SECRET + "x", 1, ["x"]):
        assert talk(kernel, path, auth(wrong)) == [ACCEPTED, ("close", "Invalid token")]
    for frame in ("{}", "[]", "x", '"auth"'):
        assert talk(kernel, path, frame) == [ACCEPTED, ("close", "Expected 'auth' message")]
    assert talk(kernel, path, auth(SECRET), prefect=False)[0][0] == "close"
    assert talk(kernel, "/api/acme/quart/socket", prefect=False)[0][0] == "close"
    assert talk(kernel, "/api/acme/quart/socket", prefect=False, x_role="run")[1] == "quart"


def test_every_socket_is_guarded(guarded: KernelUnderTest) -> None:
    """No socket takes anything from a stranger."""
    sockets = [guarded.kernel.api + socket.path for group in guarded.kernel.groups for socket in group.websockets]
    assert len(sockets) >= 3
    for path in sockets:
        concrete = re.sub(r"\{\w+(:\w+)?\}", "x", path)
        assert talk(guarded, concrete, prefect=False)[0][0] == "close"
        assert talk(guarded, concrete, auth("wrong"))[1][0] == "close"
        assert talk(guarded, concrete, auth(SECRET))[1] == SUCCESS


def test_who_says_nothing_is_sent_away(make_kernel: MakeKernel) -> None:
    """Strangers cannot hold sockets open."""
    settings = {"PREFECT_SERVER_API_AUTH_STRING": SECRET, "PREFECT_KERNEL_HEADER_TIMEOUT_SECONDS": 0.01}
    told = talk(make_kernel(settings=settings), "/api/events/out", stays=True)
    assert told == [ACCEPTED, ("close", "Expected 'auth' message")]


def test_it_cannot_be_left_out(make_kernel: MakeKernel) -> None:
    """A server with an auth string never lets everybody in."""
    from prefect_kernel.errors import SettingsError

    with pytest.raises(SettingsError, match="basic_auth cannot be disabled"):
        make_kernel(settings={"PREFECT_KERNEL_DISABLE": "basic_auth"})


@pytest.mark.parametrize("header", ["Basic =", "Basic ====", "Basic !", "Basic", basic(""), basic(":")])
def test_an_empty_auth_string_lets_nobody_in(make_kernel: MakeKernel, header: str) -> None:
    """As where a compose file hands on a variable that is not set."""
    kernel = make_kernel(settings={"PREFECT_SERVER_API_AUTH_STRING": ""})
    assert kernel.client.get("/hello", headers={"Authorization": header}).status == 401
    assert talk(kernel, "/api/events/in", auth(""))[-1][0] == "close"
