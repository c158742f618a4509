"""`/task_runs/subscriptions/scheduled` over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.fixtures import ServerFactory

pytestmark = pytest.mark.asyncio
PATIENCE = 30.0
QUIET = 0.3
"""Seconds after which a run that was to be sent would have come."""


@asynccontextmanager
async def connected(api_url: str) -> AsyncIterator[ClientConnection]:
    """A socket after authentication."""
    url = api_url.replace("http", "ws", 1) + "/task_runs/subscriptions/scheduled"
    async with asyncio.timeout(PATIENCE), connect(url, subprotocols=[Subprotocol("prefect")]) as socket:
        await socket.send('{"type": "auth", "token": null}')
        assert json.loads(await socket.recv()) == {"type": "auth_success"}
        yield socket


@asynccontextmanager
async def worker(api_url: str, *keys: str, client_id: str = "me") -> AsyncIterator[ClientConnection]:
    """A task worker that has subscribed."""
    async with connected(api_url) as socket:
        await say(socket, "subscribe", keys=list(keys), client_id=client_id)
        yield socket


async def say(socket: ClientConnection, kind: str, **more: Any) -> None:
    """Send a frame."""
    await socket.send(json.dumps({"type": kind, **more}))


async def run_of(socket: ClientConnection) -> dict[str, Any]:
    """The next run."""
    found: dict[str, Any] = json.loads(await socket.recv())
    return found


async def nothing_comes(socket: ClientConnection) -> None:
    """No run is sent for a while."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(socket.recv(), QUIET)


async def post(api_url: str, path: str, body: dict[str, Any]) -> Any:
    """What a POST answers."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{api_url}{path}", json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


async def workers(api_url: str, *keys: str) -> list[dict[str, Any]]:
    """The workers that are listed."""
    found = await post(api_url, "/task_workers/filter", {"task_worker_filter": {"task_keys": keys}} if keys else {})
    return list(found)


async def listed(api_url: str, *identifiers: str) -> None:
    """Return when exactly these workers are connected, as the server sees it."""
    async with asyncio.timeout(PATIENCE):
        while [one["identifier"] for one in await workers(api_url)] != list(identifiers):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def defer(api_url: str, dynamic: str, key: str = "hello") -> str:
    """Create a background task run; its id."""
    details = {"deferred": True, "task_parameters_id": "01a1fdc7-2943-7d17-9b31-8aec052347f7"}
    state = {"type": "SCHEDULED", "state_details": details}
    body = {"flow_run_id": None, "task_key": key, "dynamic_key": dynamic, "state": state}
    made: str = (await post(api_url, "/task_runs/", body))["id"]
    return made


async def test_runs_are_sent_one_at_a_time(server: ServerFactory, database_url: str) -> None:
    """A run is sent as GET /task_runs/{id} answers it, and the next one when it has been acknowledged."""
    api = server(database_url).api_url
    first, other = await defer(api, "0"), await defer(api, "0", key="other")
    async with worker(api, "hello") as socket:
        found = await run_of(socket)
        async with httpx.AsyncClient() as client:
            answer = (await client.get(f"{api}/task_runs/{first}")).json()
        estimates = {"estimated_start_time_delta"}
        assert {k: v for k, v in found.items() if k not in estimates} == {
            k: v for k, v in answer.items() if k not in estimates
        }
        assert found["state"]["state_details"]["task_parameters_id"] == "01a1fdc7-2943-7d17-9b31-8aec052347f7"
        second = await defer(api, "1")
        await nothing_comes(socket)
        await say(socket, "ack")
        assert (await run_of(socket))["id"] == second
        await say(socket, "ack")
        third = await defer(api, "2")  # the worker is waiting when it comes
        assert (await run_of(socket))["id"] == third
        await say(socket, "ack")
        await nothing_comes(socket)
    async with worker(api, "hello", "other") as socket:
        assert (await run_of(socket))["id"] == other


async def test_a_run_that_is_not_acknowledged_is_sent_to_another_worker(
    server: ServerFactory, database_url: str
) -> None:
    """Whether the worker goes away, quits or answers something else, its run is the next one to be sent."""
    api = server(database_url).api_url
    run, later = await defer(api, "0"), await defer(api, "1")
    async with worker(api, "hello") as socket:
        assert (await run_of(socket))["id"] == run
        socket.transport.abort()
        await listed(api)
    async with worker(api, "hello", client_id="leaver") as socket:
        assert (await run_of(socket))["id"] == run
        await say(socket, "quit")
        await socket.wait_closed()
        assert socket.close_code == 1000
    async with worker(api, "hello", client_id="babbler") as socket:
        assert (await run_of(socket))["id"] == run
        await say(socket, "hm")
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (4001, "Protocol violation: expected 'ack' message")
    async with worker(api, "hello", client_id="good") as socket:
        for expected in (run, later):
            assert (await run_of(socket))["id"] == expected
            await say(socket, "ack")


async def test_workers_share_the_runs(server: ServerFactory, database_url: str) -> None:
    """Each run goes to one of the workers that serve its key."""
    api = server(database_url).api_url
    got: dict[str, list[str]] = {"one": [], "two": [], "three": []}

    async def work(name: str) -> None:
        async with worker(api, "hello", client_id=name) as socket:
            while sum(map(len, got.values())) < 12:
                try:
                    found = await asyncio.wait_for(run_of(socket), 0.05)
                except TimeoutError:
                    continue
                got[name].append(found["id"])
                await say(socket, "ack")

    working = [asyncio.create_task(work(name)) for name in got]
    runs = [await defer(api, str(n)) for n in range(12)]
    await asyncio.gather(*working)
    assert sorted(runs) == sorted(run for taken in got.values() for run in taken)


async def test_connected_workers_are_listed(server: ServerFactory, sqlite_url: str) -> None:
    """A worker is listed while it is connected, with its keys, and can be found by any of them."""
    api = server(sqlite_url).api_url
    assert await workers(api) == []
    async with worker(api, "b", "a", client_id="one"):
        await listed(api, "one")
        async with worker(api, "c", client_id="two"):
            await listed(api, "one", "two")
            keys = {one["identifier"]: one["task_keys"] for one in await workers(api)}
            assert keys == {"one": ["a", "b"], "two": ["c"]}
        assert [one["identifier"] for one in await workers(api, "a", "x")] == ["one"]
        assert await workers(api, "x") == []
        assert {"identifier", "task_keys", "timestamp"} == set((await workers(api))[0])
    await listed(api)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ({"type": "hello"}, "expected 'subscribe' message"),
        ("no json", "expected 'subscribe' message"),
        ({"type": "subscribe", "client_id": "me"}, "expected 'keys' in subscribe message"),
        ({"type": "subscribe", "keys": [], "client_id": "me"}, "expected 'keys' in subscribe message"),
        ({"type": "subscribe", "keys": [1], "client_id": "me"}, "expected 'keys' in subscribe message"),
        ({"type": "subscribe", "keys": ["a"]}, "expected 'client_id' in subscribe message"),
    ],
    ids=str,
)
async def test_violations_of_the_protocol(server: ServerFactory, sqlite_url: str, frame: Any, reason: str) -> None:
    """A subscription that is none is closed with 4001 and says what is missing."""
    async with connected(server(sqlite_url).api_url) as socket:
        await socket.send(frame if isinstance(frame, str) else json.dumps(frame))
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (4001, f"Protocol violation: {reason}")


async def test_what_waits_survives_a_restart(server: ServerFactory, database_url: str) -> None:
    """After SIGKILL and a start what nobody has taken is handed out, and what a worker has taken is not."""
    kernel = server(database_url)
    taken, waiting = await defer(kernel.api_url, "0"), await defer(kernel.api_url, "1")
    async with worker(kernel.api_url, "hello") as socket:
        assert (await run_of(socket))["id"] == taken
        await say(socket, "ack")
        assert (await run_of(socket))["id"] == waiting
        await say(socket, "quit")  # it is closed when the run waits again
        await socket.wait_closed()
    kernel.kill()
    await asyncio.to_thread(kernel.restart)
    async with worker(kernel.api_url, "hello") as socket:
        assert (await run_of(socket))["id"] == waiting
        await say(socket, "ack")
        await nothing_comes(socket)


async def test_workers_of_another_server_get_the_run(server: ServerFactory, database_url: str) -> None:
    """A run that one server took in reaches a worker that is connected to another one on the same database."""
    here, there = server(database_url).api_url, server(database_url).api_url
    async with worker(there, "hello") as socket:
        run = await defer(here, "0")
        assert (await run_of(socket))["id"] == run
        await say(socket, "ack")
    async with worker(here, "hello") as socket:
        await nothing_comes(socket)
