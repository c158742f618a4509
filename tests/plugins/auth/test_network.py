"""Proxies that are believed, hosts that are served, and how much one client may ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_kernel import hookimpl, web
from prefect_kernel.errors import SettingsError
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.network.front import MOST_CLIENTS, RateLimit
from tests.support.callers import ask, talk

PROXY, NEARER, STRANGER = "10.0.0.1", "192.168.1.7", "203.0.113.9"


class Mirror:
    """A plugin that shows what the server takes a request for."""

    def __init__(self) -> None:
        self.group = group = web.Group("mirror", prefix="/mirror")

        @group.get("/", open_=True)
        async def look(request: web.Request) -> web.Reply:
            return web.json({"client": request.scope["client"][0], "url": request.base_url})

        @group.websocket("/socket")
        async def socket(socket: web.WebSocket) -> None:
            await socket.accept("prefect")
            await socket.send(f"{socket.scope['client'][0]} {socket.scope['scheme']}")

    @hookimpl
    def kernel_routes(self, settings: Any) -> list[Any]:
        return [self.group]


@pytest.fixture
def proxied(make_kernel: MakeKernel) -> KernelUnderTest:
    """A kernel that believes two proxies."""
    return make_kernel(Mirror(), settings={"PREFECT_KERNEL_TRUSTED_PROXIES": f"{PROXY}, 192.168.0.0/16, ::1"})


def seen(kernel: KernelUnderTest, client: str, **headers: str) -> dict[str, Any]:
    """What a request is taken for."""
    named = {f"x-forwarded-{name}": value for name, value in headers.items()}
    status, _, body = ask(kernel, "GET", "/api/mirror/", named, client=client)
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def test_who_is_believed(proxied: KernelUnderTest) -> None:
    """A trusted proxy, about its client; nobody else about anything."""
    told = {"proto": "https", "host": "flows.example.com:8443", "prefix": "/prefect"}
    nothing = {"client": STRANGER, "url": "http://testserver/"}
    assert seen(proxied, STRANGER, **{"for": PROXY}, **told) == nothing
    assert seen(proxied, PROXY) == {**nothing, "client": PROXY}
    known = {"client": STRANGER, "url": "https://flows.example.com:8443/prefect/"}
    assert seen(proxied, PROXY, **{"for": STRANGER}, **told) == known
    assert seen(proxied, "::1", **{"for": STRANGER}, **told) == known
    assert seen(proxied, "::ffff:10.0.0.1", **{"for": STRANGER}, **told) == known


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (f"{STRANGER}, {NEARER}", STRANGER),
        (f"1.2.3.4, {STRANGER}", STRANGER),
        (f"{PROXY}, {STRANGER}, {NEARER}", STRANGER),
        (f"{NEARER}", NEARER),
        (f"nonsense, {NEARER}", NEARER),
        ("nonsense", PROXY),
        ("", PROXY),
        (f"{STRANGER}:5000", STRANGER),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
        (f"{STRANGER}, {STRANGER}x", PROXY),
    ],
)
def test_chains(proxied: KernelUnderTest, chain: str, client: str) -> None:
    """The last address that no trusted proxy has: what stands before it, anybody may have written."""
    assert seen(proxied, PROXY, **{"for": chain})["client"] == client


@pytest.mark.parametrize(
    "told",
    [
        {"proto": "javascript"},
        {"host": "a b"},
        {"host": "x/../y"},
        {"host": "evil.example.com\\@x"},
        {"prefix": "//evil.example.com"},
        {"prefix": "nothing"},
        {"prefix": "/a?b"},
    ],
)
def test_nonsense_of_proxies(proxied: KernelUnderTest, told: dict[str, str]) -> None:
    """What is no scheme, host or path is as if it had not been said."""
    assert seen(proxied, PROXY, **told)["url"] == "http://testserver/"


def test_redirects_go_where_the_client_is(proxied: KernelUnderTest) -> None:
    """The slash that a path lacks is added to what the client has asked for."""
    told = {"x-forwarded-proto": "https", "x-forwarded-host": "flows.example.com", "x-forwarded-prefix": "/prefect"}
    status, headers, _ = ask(proxied, "GET", "/api/mirror", told, client=PROXY)
    assert (status, headers["location"]) == (307, "https://flows.example.com/prefect/api/mirror/")


def test_sockets_behind_proxies(proxied: KernelUnderTest) -> None:
    """The same holds for WebSockets."""
    headers: dict[str, Any] = {"x_forwarded_for": STRANGER, "x_forwarded_proto": "https"}
    assert talk(proxied, "/api/mirror/socket", **headers)[1] == "127.0.0.1 ws"
    assert talk(proxied, "/api/mirror/socket", client=PROXY, **headers)[1] == f"{STRANGER} wss"


def test_hosts(make_kernel: MakeKernel) -> None:
    """A name that is not listed gets nothing, be it of a route, a page or a socket; probes ask by addresses."""
    kernel = make_kernel(Mirror(), settings={"PREFECT_KERNEL_ALLOWED_HOSTS": "flows.example.com,*.lan,127.0.0.1,[::1]"})
    for host in ("flows.example.com", "FLOWS.example.com:4200", "a.b.lan", "127.0.0.1:4200", "[::1]:4200", "[::1]"):
        assert ask(kernel, "GET", "/api/mirror/", {"host": host})[0] == 200, host
    for host in (
        "",
        "evil.com",
        "flows.example.com.evil.com",
        "lan",
        "xlan",
        "example.com",
        "[::2]:1",
        "evil.com:x.lan",
    ):
        for path in ("/api/mirror/", "/ui-settings", "/", "/api/nothing"):
            assert ask(kernel, "GET", path, {"host": host})[0] == 400, (host, path)
        assert ask(kernel, "GET", "/api/health", {"host": host})[0] == 200
        assert talk(kernel, "/api/mirror/socket", host=host)[0][0] == "close"
    assert talk(kernel, "/api/mirror/socket", host="x.lan")[0] == ("accept", None)


@pytest.mark.parametrize("host", ["a.com b.com", "a.com:4200", "http://a.com", "::1", "a.*.com", "*a.com"])
def test_hosts_that_nobody_asks_for(make_kernel: MakeKernel, host: str) -> None:
    """What could never match is told at the start, not found out by everybody being refused."""
    with pytest.raises(SettingsError, match=r"PREFECT_KERNEL_ALLOWED_HOSTS: .* is no name"):
        make_kernel(settings={"PREFECT_KERNEL_ALLOWED_HOSTS": f"flows.example.com,{host}"})


def test_requests_per_second(make_kernel: MakeKernel) -> None:
    """One client that asks too often is told when to come back; others are not concerned."""
    settings = {"PREFECT_KERNEL_RATE_LIMIT": 0.01, "PREFECT_KERNEL_RATE_LIMIT_BURST": 3}
    kernel = make_kernel(Mirror(), settings=settings)
    answers = [ask(kernel, "GET", "/api/mirror/", {"origin": "http://x"}, client=STRANGER) for _ in range(5)]
    assert [status for status, _, _ in answers] == [200, 200, 200, 429, 429]
    _, headers, body = answers[-1]
    assert json.loads(body) == {"detail": "Too many requests."}
    assert 50 <= int(headers["retry-after"]) <= 100
    assert headers["access-control-allow-origin"] == "*"
    assert ask(kernel, "GET", "/api/mirror/", client=PROXY)[0] == 200
    assert talk(kernel, "/api/mirror/socket", client=STRANGER)[0][0] == "close"
    assert ask(kernel, "GET", "/api/nothing", client="2001:db8::1")[0] == 404
    for _ in range(2):
        assert ask(kernel, "GET", "/api/mirror/", client="2001:db8::2")[0] == 200
    assert ask(kernel, "GET", "/api/mirror/", client="2001:db8::3")[0] == 429, "one subscriber has a network"


def test_a_bucket() -> None:
    """Tokens come back at the rate, up to the burst; few clients are remembered."""
    now = 0.0
    limit = RateLimit(2, 4, lambda: now)
    assert [limit.wait("x") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    now = 0.5
    assert [limit.wait("x") for _ in range(2)] == [0, 0.5]
    now = 1000
    assert [limit.wait("x") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    for number in range(MOST_CLIENTS):
        assert limit.wait(str(number)) == 0
    assert limit.wait("x") == 0, "it was forgotten for others"


def test_nothing_is_asked_by_default(make_kernel: MakeKernel) -> None:
    """Without settings there is no gate, and nothing that a client says of itself counts."""
    kernel = make_kernel(Mirror())
    assert not kernel.kernel.dispatcher.gates
    assert seen(kernel, STRANGER, **{"for": "1.2.3.4", "proto": "https"}) == {
        "client": STRANGER,
        "url": "http://testserver/",
    }


def test_wrong_settings(make_kernel: MakeKernel) -> None:
    """A network that is none is said at once; and what keeps people out cannot be left out."""
    with pytest.raises(SettingsError, match=r"PREFECT_KERNEL_TRUSTED_PROXIES: '10\.0\.0\.999'"):
        make_kernel(settings={"PREFECT_KERNEL_TRUSTED_PROXIES": "10.0.0.999"})
    for plugin in ("network", "access", "trusted_headers", "oidc"):
        with pytest.raises(SettingsError, match=f"{plugin} cannot be disabled"):
            make_kernel(settings={"PREFECT_KERNEL_DISABLE": plugin})
