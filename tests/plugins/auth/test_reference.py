"""The same requests to Python Prefect: authentication and CSRF protection."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.fixtures import ServerFactory

pytestmark = [pytest.mark.reference, pytest.mark.timeout(900)]

SECRET = "admin:pass"
RIGHT = {"Authorization": "Basic " + base64.b64encode(SECRET.encode()).decode()}
WRONG = {"Authorization": "Basic " + base64.b64encode(b"admin:wrong").decode()}
OURS = ("cache-control", "content-security-policy", "referrer-policy", "x-content-type-options")
"""Headers that the kernel sends beyond Prefect's."""

Exchange = tuple[str, str, dict[str, str]]


def ask(port: int, method: str, path: str, headers: dict[str, str]) -> tuple[Any, ...]:
    """Status, headers and body of an answer, without what differs from server to server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
        if body:
            connection.putheader("content-length", str(len(body)))
            connection.putheader("content-type", "application/json")
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read().replace(str(port).encode(), b"PORT")
        found = {name.lower(): value.replace(str(port), "PORT") for name, value in answer.getheaders()}
    finally:
        connection.close()
    for name in ("date", "server", "last-modified", *OURS):
        found.pop(name, None)
    for name in ("etag", "content-length"):
        if name in found and (name == "etag" or answer.status == 200):
            found[name] = "…"
    return answer.status, sorted(found.items()), content if method != "HEAD" else b""


@pytest.fixture
def both(
    server: ServerFactory,
    reference_server: Callable[..., Any],
    tmp_path: Path,
) -> Callable[..., list[int]]:
    """Starts both servers with the same settings; their ports, the reference's first."""

    def start(**env: str) -> list[int]:
        theirs = reference_server(f"sqlite+aiosqlite:///{tmp_path / 'theirs.db'}", env=env)
        mine = server(f"sqlite+aiosqlite:///{tmp_path / 'mine.db'}", env={**env, "PREFECT_UI_ENABLED": "false"})
        return [theirs.port, mine.port]

    return start


def compare(ports: list[int], exchanges: list[Exchange]) -> None:
    """Make each request of both servers, and show those whose answers differ."""
    different = []
    for exchange in exchanges:
        theirs, mine = (ask(port, *exchange) for port in ports)
        if theirs != mine:
            different.append((exchange, theirs, mine))
    assert not different, "\n".join(f"{e}\n  - {a}\n  + {b}" for e, a, b in different)


def test_basic_authentication(both: Callable[..., list[int]]) -> None:
    """Who gets in, and how others are turned away."""
    ports = both(PREFECT_SERVER_API_AUTH_STRING=SECRET, PREFECT_UI_API_URL="/api")
    raw = RIGHT["Authorization"]
    others = ["Basic", "basic " + raw[6:], raw + " x", "Basic !!", raw[6:], "Bearer x", f"Basic  {raw[6:]}", raw + "=="]
    headers: list[dict[str, str]] = [{}, RIGHT, WRONG, *({"Authorization": value} for value in others)]
    headers.append({"Origin": "http://x"})
    paths = ["/api/health", "/api/ready", "/api/hello", "/api/nothing", "/api/hello/", "/ui-settings", "/api", "/api/"]
    exchanges = [("GET", path, header) for path in paths for header in headers]
    exchanges += [
        (method, path, header)
        for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS")
        for path in ("/api/health", "/api/flows/filter", "/api/nothing", "/ui-settings")
        for header in ({}, RIGHT)
    ]
    preflight = {"Origin": "http://x", "Access-Control-Request-Method": "POST"}
    exchanges.append(("OPTIONS", "/api/flows/", preflight))
    compare(ports, exchanges)
    frames: list[Any] = [None, "wrong", SECRET, "", 0, {}]
    for path in ("/api/events/in", "/api/events/out", "/api/logs/out", "/api/task_runs/subscriptions/scheduled"):
        for prefect in (True, False):
            for frame in [{"type": "auth", "token": token} for token in frames] + [{"type": "filter"}, {}]:
                theirs, mine = (asyncio.run(talk(port, path, frame, prefect=prefect)) for port in ports)
                assert theirs == mine, (path, frame, prefect)


async def talk(port: int, path: str, frame: Any, *, prefect: bool) -> Any:
    """What a WebSocket's first message is answered with."""
    try:
        async with connect(f"ws://127.0.0.1:{port}{path}", subprotocols=["prefect"] if prefect else None) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps(frame))
            return json.loads(await asyncio.wait_for(socket.recv(), 10))
    except ConnectionClosed as error:
        return (error.rcvd.code, error.rcvd.reason) if error.rcvd else None
    except InvalidHandshake as error:
        return str(error)


def test_csrf_protection(both: Callable[..., list[int]]) -> None:
    """Refusals, tokens, and what is not asked for one."""
    ports = both(PREFECT_SERVER_CSRF_PROTECTION_ENABLED="true", PREFECT_SERVER_API_AUTH_STRING=SECRET)
    names = ("Prefect-Csrf-Token", "Prefect-Csrf-Client")
    headers: list[dict[str, str]] = [{}, {names[0]: "x"}, {names[1]: "x"}, {names[0]: "x", names[1]: "x"}]
    compare(
        ports,
        [
            (method, path, {**header, **more})
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
            for path in ("/api/flows/filter", "/api/nothing", "/", "/api/hello")
            for header in headers
            for more in ({}, RIGHT, {"Origin": "http://x"})
        ],
    )
    for path in ("/api/csrf-token", "/api/csrf-token?client="):
        compare(ports, [("GET", path, {}), ("GET", path, WRONG)])
    compare(ports, [("GET", "/api/csrf-token", RIGHT)])
    answers = []
    for port in ports:
        status, headers_, body = ask(port, "GET", "/api/csrf-token?client=me", RIGHT)
        given = json.loads(body)
        carried = {**RIGHT, names[0]: given["token"], names[1]: "me"}
        used = ask(port, "POST", "/api/flows/filter", carried)
        without = ask(port, "POST", "/api/flows/filter", {name: carried[name] for name in names})
        answers.append((status, headers_, {key: type(value) for key, value in given.items()}, used, without))
    assert answers[0] == answers[1]
