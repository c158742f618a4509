"""`prefect-kernel serve` with each server, as a process, on the real kernel."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.plugins.servers.support import PATIENCE, Wire
from tests.support.fixtures import ServerFactory
from tests.support.kernel import KernelServer, clean_environment

each_server = pytest.mark.parametrize("name", ["native", "hypercorn", "uvicorn"])


@asynccontextmanager
async def socket_to(kernel: KernelServer, path: str) -> AsyncIterator[ClientConnection]:
    """A WebSocket as Prefect's clients open it."""
    url = kernel.api_url.replace("http", "ws", 1) + path
    async with connect(url, subprotocols=[Subprotocol("prefect")], ping_interval=None) as socket:
        await socket.send('{"type":"auth","token":null}')
        assert json.loads(await socket.recv())["type"] == "auth_success"
        yield socket


def event(name: str) -> str:
    """An event as a client sends it."""
    occurred = datetime.now(UTC).isoformat()
    resource = {"prefect.resource.id": "test.thing"}
    return json.dumps({"id": str(uuid4()), "occurred": occurred, "event": name, "resource": resource})


async def stored(client: httpx.AsyncClient, name: str) -> int:
    """How many events of that name there are."""
    since, until = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    asked = {"occurred": {"since": since.isoformat(), "until": until.isoformat()}, "event": {"name": [name]}}
    response = await client.post("/events/filter", json={"filter": asked, "limit": 1})
    total: int = response.raise_for_status().json()["total"]
    return total


@each_server
@pytest.mark.asyncio
async def test_events_behind_a_pong_are_stored(server: ServerFactory, sqlite_url: str, name: str) -> None:
    """On each server a pong says that all events before the ping are stored, at any moment of a long stream."""
    kernel = server(sqlite_url, "--server", name)
    async with (
        httpx.AsyncClient(base_url=kernel.api_url, timeout=30) as client,
        socket_to(kernel, "/events/in") as socket,
    ):
        for sent in range(1, 2001):
            await socket.send(event("test.streamed"))
            if sent % 400 == 0:
                await asyncio.wait_for(await socket.ping(), 30)
                assert await stored(client, "test.streamed") == sent


@pytest.mark.parametrize("name", ["native", "uvicorn"])
def test_what_came_while_it_was_suspended_is_answered(server: ServerFactory, sqlite_url: str, name: str) -> None:
    """A server that was suspended for longer than connections may be idle reads what has come before it hangs up."""
    kernel = server(sqlite_url, "--server", name, env={"PREFECT_SERVER_API_KEEPALIVE_TIMEOUT": "1"})
    head = b"POST /api/flows/filter HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", kernel.port), PATIENCE)) for _ in range(10)
        ]
        for client in clients:
            client.sendall(head + b"{}")
            assert client.recv(9000).startswith(b"HTTP/1.1 200")
        os.kill(kernel.process.pid, signal.SIGSTOP)
        try:
            for client in clients:
                client.sendall(head)
                time.sleep(0.01)  # the first has woken the server's poll, which stops with it as its only event
                client.sendall(b"{}")
            time.sleep(3.3)  # all idle for too long, as far as the server has read
        finally:
            os.kill(kernel.process.pid, signal.SIGCONT)
        for client in clients:
            assert client.recv(9000).startswith(b"HTTP/1.1 200")


@each_server
@pytest.mark.asyncio
async def test_end_in_good_order(server: ServerFactory, sqlite_url: str, name: str) -> None:
    """Told to stop, each server closes WebSockets with 1012, answers what is under way, and ends with status 0."""
    kernel = server(sqlite_url, "--server", name)
    async with socket_to(kernel, "/events/in") as socket:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", kernel.port))
        wire.send(b"POST /api/flows/ HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n")
        await socket.send(event("test.last"))
        await asyncio.wait_for(await socket.ping(), PATIENCE)  # so the request above has arrived, too
        os.kill(kernel.process.pid, signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        wire.send(b'{"name":"last"}')
        response = await wire.response()
        assert (response.status, response.header("connection")) == (201, "close")
        await wire.close()
    assert await asyncio.to_thread(kernel.stop) == 0
    kernel.restart()
    async with httpx.AsyncClient(base_url=kernel.api_url) as client:
        assert (await client.get("/flows/name/last")).json()["id"] == response.json["id"]
        assert await stored(client, "test.last") == 1


@each_server
def test_port_in_use_is_one_sentence(server: ServerFactory, sqlite_url: str, tmp_path: Path, name: str) -> None:
    """A second server on the port says so in one sentence, and ends with status 1."""
    kernel = server(sqlite_url)
    second = subprocess.run(
        [sys.executable, "-m", "prefect_kernel", "serve", "--port", str(kernel.port), "--server", name],
        env=clean_environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 1
    assert second.stderr == (
        f"Error: Port {kernel.port} on 127.0.0.1 is already in use: stop what listens there, or choose another with"
        " --port.\n"
    )


def test_several_workers_need_another_database_than_sqlite(sqlite_url: str, tmp_path: Path) -> None:
    """Several workers on SQLite are refused in one sentence that says what to do."""
    refused = subprocess.run(
        [sys.executable, "-m", "prefect_kernel", "serve", "--port", "0", "--workers", "2"],
        env=clean_environment(tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL=sqlite_url),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: Several workers on sqlite are slower than one")
    assert refused.stderr.count("\n") == 1


@each_server
@pytest.mark.asyncio
async def test_workers_serve_one_database(server: ServerFactory, postgres_url: str, name: str) -> None:
    """Two workers make a new database together, answer for each other, and end together with status 0."""
    kernel = server(postgres_url, "--server", name, "--workers", "2")
    made = []
    for number in range(20):
        async with httpx.AsyncClient(base_url=kernel.api_url, timeout=30) as client:  # a connection of its own
            made.append((await client.post("/flows/", json={"name": f"flow-{number}"})).json()["id"])
    for id_ in made:
        async with httpx.AsyncClient(base_url=kernel.api_url, timeout=30) as client:
            assert (await client.get(f"/flows/{id_}")).status_code == 200
    assert await asyncio.to_thread(kernel.stop) == 0


@pytest.mark.asyncio
async def test_background_tasks_find_their_worker_in_another_process(server: ServerFactory, postgres_url: str) -> None:
    """A task worker, which is connected to one process, is given the runs that were deferred in any, each once."""
    kernel = server(postgres_url, "--workers", "2")
    async with socket_to(kernel, "/task_runs/subscriptions/scheduled") as socket:
        await socket.send(json.dumps({"type": "subscribe", "keys": ["job"], "client_id": "me"}))
        deferred = {await defer(kernel) for _ in range(20)}
        given = []
        while len(given) < len(deferred):
            given.append(json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))["id"])
            await socket.send('{"type":"ack"}')
        assert set(given) == deferred


async def defer(kernel: KernelServer) -> str:
    """A background run, made over a connection of its own, so that it may be any process's."""
    scheduled = {"type": "SCHEDULED", "state_details": {"deferred": True}}
    run = {"name": "job", "task_key": "job", "dynamic_key": str(uuid4()), "state": scheduled}
    async with httpx.AsyncClient(base_url=kernel.api_url, timeout=30) as client:
        made = await client.post("/task_runs/", json=run)
        id_: str = made.raise_for_status().json()["id"]
        return id_
