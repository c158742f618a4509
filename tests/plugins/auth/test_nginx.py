"""Behind a real nginx: below a path, with WebSockets, with clients' own addresses, and with nginx naming the caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.fixtures import ServerFactory
from tests.support.nginx import PEER, nginx

HEADER = "X-Forwarded-User"


@contextmanager
def proxied(directory: Path, locations: str) -> Iterator[httpx.Client]:
    """A client of an nginx."""
    with (
        nginx(directory / "nginx", locations) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield client


async def opened(client: httpx.Client, path: str, token: str | None = None) -> Any:
    """What the first message on a WebSocket is answered with, and then whether a ping gets through."""
    url = str(client.base_url).replace("http", "ws", 1).rstrip("/") + path
    async with connect(url, subprotocols=["prefect"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "auth", "token": token}))
        try:
            answer = json.loads(await asyncio.wait_for(socket.recv(), 20))
        except ConnectionClosed as closed:
            return closed.rcvd and closed.rcvd.reason
        await asyncio.wait_for(await socket.ping(), 20)
        return answer


SUCCESS = {"type": "auth_success"}


def test_a_path_that_stays(server: ServerFactory, database_url: str, tmp_path: Path) -> None:
    """PREFECT_SERVER_API_BASE_PATH and PREFECT_UI_SERVE_BASE: nginx hands on what it is asked for."""
    running = server(
        database_url,
        env={
            "PREFECT_SERVER_API_BASE_PATH": "/prefect/api",
            "PREFECT_UI_SERVE_BASE": "/prefect",
            "PREFECT_KERNEL_TRUSTED_PROXIES": PEER,
            "PREFECT_KERNEL_AUDIT": "edit",
        },
    )
    with proxied(tmp_path, f"location /prefect/ {{ proxy_pass http://127.0.0.1:{running.port}; }}") as client:
        assert client.get("/prefect/api/hello").json() == "👋"
        assert client.get("/prefect/ui-settings").json()["v1_base_url"] in (None, "/prefect")
        assert client.get("/api/hello").status_code == 404
        moved = client.get("/prefect/api/flows/filter/", headers={"X-Forwarded-Host": "evil.example.com"})
        assert moved.status_code in (307, 405)
        made = client.post("/prefect/api/variables", json={"name": "x", "value": 1})
        assert made.headers["location"] == f"{client.base_url}/prefect/api/variables/".replace("//prefect", "/prefect")
        assert client.post("/prefect/api/variables/", json={"name": "x", "value": 1}).status_code == 201
        spoofed = {"X-Forwarded-For": "203.0.113.9"}
        assert client.delete("/prefect/api/variables/name/x", headers=spoofed).status_code == 204
        changes = client.get("/prefect/api/kernel/audit").json()["results"]
        assert {change["client"] for change in changes} == {"127.0.0.1"}, "neither nginx's address nor a made-up one"
        for path in ("/prefect/api/events/in", "/prefect/api/events/out", "/prefect/api/logs/out"):
            assert asyncio.run(opened(client, path)) == SUCCESS
        body = {"name": "big", "value": "x" * 4000}
        assert client.post("/prefect/api/variables/", content=json.dumps(body).encode()).status_code == 201


def test_a_path_that_is_cut_off(server: ServerFactory, sqlite_url: str, tmp_path: Path) -> None:
    """X-Forwarded-Prefix: nginx takes a prefix away, and says so; redirects have it again."""
    running = server(sqlite_url, env={"PREFECT_KERNEL_TRUSTED_PROXIES": PEER})
    location = f"""
        location /team/ {{
            proxy_pass http://127.0.0.1:{running.port}/;
            proxy_set_header X-Forwarded-Prefix /team;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Forwarded-Host $http_host;
        }}
    """
    with proxied(tmp_path, location) as client:
        assert client.get("/team/api/hello").json() == "👋"
        moved = client.post("/team/api/variables", json={})
        assert moved.headers["location"] == f"https://127.0.0.1:{client.base_url.port}/team/api/variables/"
        assert asyncio.run(opened(client, "/team/api/events/out")) == SUCCESS
        direct = httpx.post(
            f"{running.api_url}/variables", json={}, headers={"X-Forwarded-Prefix": "/evil", "X-Forwarded-Proto": "ftp"}
        )
        assert direct.headers["location"] == f"{running.api_url}/variables/", "nobody else is believed"


def test_a_caller_whom_nginx_names(server: ServerFactory, sqlite_url: str, tmp_path: Path) -> None:
    """Its header counts, and what clients send in its place does not."""
    running = server(
        sqlite_url,
        env={
            "PREFECT_KERNEL_TRUSTED_HEADER_USER": HEADER,
            "PREFECT_KERNEL_TRUSTED_HEADER_ROLE": "X-Forwarded-Groups",
            "PREFECT_KERNEL_TRUSTED_HEADER_NETWORKS": PEER,
            "PREFECT_KERNEL_TRUSTED_PROXIES": PEER,
            "PREFECT_KERNEL_AUDIT": "edit",
        },
    )

    def place(path: str, user: str, groups: str) -> str:
        upgrade = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;"
        named = f'proxy_set_header {HEADER} "{user}"; proxy_set_header X-Forwarded-Groups "{groups}";'
        host = "proxy_set_header Host $http_host;"
        return f"location {path} {{ proxy_pass http://127.0.0.1:{running.port}/; {upgrade} {named} {host} }}"

    places = [place("/ada/", "ada", "editor"), place("/bob/", "bob", ""), place("/nobody/", "", "admin")]
    claims = {HEADER: "admin", "X-Forwarded-Groups": "admin"}
    with proxied(tmp_path, "\n".join(places)) as client:
        assert client.post("/ada/api/variables/", json={"name": "x", "value": 1}, headers=claims).status_code == 201
        assert client.post("/bob/api/variables/", json={"name": "y", "value": 1}, headers=claims).status_code == 403
        assert client.get("/bob/api/hello").status_code == 200
        assert client.get("/nobody/api/hello", headers=claims).status_code == 401
        assert client.get("/ada/api/kernel/audit", headers=claims).status_code == 403
        assert asyncio.run(opened(client, "/ada/api/events/in")) == SUCCESS
        assert asyncio.run(opened(client, "/bob/api/events/out")) == SUCCESS
        assert asyncio.run(opened(client, "/bob/api/events/in")) == "The permission 'run' is needed"
        assert asyncio.run(opened(client, "/nobody/api/events/out")) == "Auth required but no token provided"
        assert client.post("/ada/api/flows/filter", json={}, headers={"Origin": "https://evil.com"}).status_code == 401
        own = {"Origin": str(client.base_url).rstrip("/")}
        assert client.post("/ada/api/flows/filter", json={}, headers=own).status_code == 200
        assert httpx.get(f"{running.api_url}/hello", headers=claims).status_code == 401, "not past nginx"


def test_hosts(server: ServerFactory, sqlite_url: str, tmp_path: Path) -> None:
    """The host is the one that the client has asked nginx for."""
    running = server(
        sqlite_url, env={"PREFECT_KERNEL_ALLOWED_HOSTS": "127.0.0.1", "PREFECT_KERNEL_TRUSTED_PROXIES": PEER}
    )
    with proxied(tmp_path, f"location / {{ proxy_pass http://127.0.0.1:{running.port}; }}") as client:
        assert client.get("/api/hello").status_code == 200
        assert client.get("/api/hello", headers={"Host": "evil.example.com"}).status_code == 400
        assert client.get("/api/health", headers={"Host": "evil.example.com"}).status_code == 200


def test_requests_per_second(server: ServerFactory, sqlite_url: str, tmp_path: Path) -> None:
    """What is counted is the clients behind nginx, and not nginx."""
    env = {"PREFECT_KERNEL_RATE_LIMIT": "0.001", "PREFECT_KERNEL_RATE_LIMIT_BURST": "50"}
    running = server(sqlite_url, env={**env, "PREFECT_KERNEL_TRUSTED_PROXIES": f"{PEER},127.0.0.1"})
    with proxied(tmp_path, f"location / {{ proxy_pass http://127.0.0.1:{running.port}; }}") as client:
        first, second = ({"X-Forwarded-For": f"203.0.113.{number}"} for number in (1, 2))
        statuses = [client.get("/api/hello", headers=first).status_code for _ in range(51)]
        assert statuses == [200] * 50 + [429]
        assert client.get("/api/hello", headers=second).status_code == 200
