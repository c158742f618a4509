"""`/events/in` over real sockets: who is let in, what a pong means, what a client may send."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.fixtures import ServerFactory

from .sockets import PATIENCE, PREFECT, an_event, checkpoint, events_socket, events_url, send_all

pytestmark = pytest.mark.asyncio


async def total(api_url: str, name: str) -> int:
    """How many events of that name can be found."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{api_url}/events/filter", json={"filter": {"event": {"name": [name]}}, "limit": 0})
    found: int = answer.json()["total"]
    return found


async def close_of(api_url: str, *frames: Any) -> tuple[int, str]:
    """Code and reason with which the server closes a socket that begins with these frames."""
    async with asyncio.timeout(PATIENCE), connect(events_url(api_url), subprotocols=[PREFECT]) as socket:
        for frame in frames:
            await socket.send(frame if isinstance(frame, str) else json.dumps(frame))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_without_an_auth_string(server: ServerFactory, sqlite_url: str) -> None:
    """Who offers the subprotocol authenticates with any token; who does not is let in without a word."""
    api = server(sqlite_url).api_url
    for token in (None, "anything"):
        async with events_socket(api, token) as socket:
            assert socket.subprotocol == "prefect"
            await send_all(socket, [an_event("test.with")])
            await checkpoint(socket)
    async with connect(events_url(api)) as socket:
        assert socket.subprotocol is None
        await send_all(socket, [an_event("test.without")])
        await checkpoint(socket)
    assert (await total(api, "test.with"), await total(api, "test.without")) == (2, 1)
    for frame in ({"type": "hello"}, "no json", "[]", an_event("test.early")):
        assert await close_of(api, frame) == (1008, "Expected 'auth' message")
    assert await total(api, "test.early") == 0


async def test_with_an_auth_string(server: ServerFactory, sqlite_url: str) -> None:
    """Only the right token is let in, and nobody without the subprotocol."""
    api = server(sqlite_url, env={"PREFECT_SERVER_API_AUTH_STRING": "admin:säfe"}).api_url
    async with events_socket(api, "admin:säfe") as socket:
        await send_all(socket, [an_event("test.in")])
        await checkpoint(socket)
    with pytest.raises(InvalidStatus) as refused:
        await connect(events_url(api))
    assert refused.value.response.status_code == 403
    assert await close_of(api, {"type": "auth", "token": None}) == (1008, "Auth required but no token provided")
    for wrong in ("admin:safe", "admin", 5, ["admin:säfe"]):
        assert await close_of(api, {"type": "auth", "token": wrong}) == (1008, "Invalid token")


async def test_a_pong_says_that_events_are_stored(server: ServerFactory, database_url: str) -> None:
    """Whatever was sent before a ping can be found when its pong has come, also when several clients send at once."""
    api = server(database_url).api_url

    async def client(number: int) -> None:
        name = f"test.{number}"
        async with events_socket(api) as socket:
            for sent in (1, 20, 700):
                await send_all(socket, [an_event(name, payload={"text": "x" * 100}) for _ in range(sent)])
                before = await total(api, name)
                await checkpoint(socket)
                assert before <= await total(api, name)
            assert await total(api, name) == 721

    async with asyncio.timeout(4 * PATIENCE):
        await asyncio.gather(*(client(number) for number in range(3)))


def refused(log: str) -> int:
    """How many invalid events the log tells of."""
    told = re.findall(r"(?:an|(\d+)) invalid events? (?:was|were) refused", log)
    return sum(int(number or 1) for number in told)


async def test_an_invalid_event_does_not_stop_the_others(server: ServerFactory, database_url: str) -> None:
    """Frames that are no events are left out and told in the log; the socket goes on."""
    kernel = server(database_url)
    wrong: list[dict[str, Any] | str] = ["", "no json", "[]", "{}"]
    wrong += [an_event("test.bad", resource={}), an_event("test.bad", id="no id")]
    wrong.append(an_event("x" * 2000))
    async with asyncio.timeout(PATIENCE), events_socket(kernel.api_url) as socket:
        for one in wrong:
            await send_all(socket, [an_event("test.good"), one])
        await socket.send(b"\xff not text")
        await socket.send(json.dumps(an_event("test.good")).encode())
        await checkpoint(socket)
    assert await total(kernel.api_url, "test.good") == len(wrong) + 1
    assert await total(kernel.api_url, "test.bad") == 0
    assert refused(kernel.log()) == len(wrong) + 1


async def test_many_invalid_events_do_not_fill_the_log(server: ServerFactory, sqlite_url: str) -> None:
    """What came in one read is told in one line, with how many there were."""
    kernel = server(sqlite_url)
    async with asyncio.timeout(PATIENCE), events_socket(kernel.api_url) as socket:
        socket.transport.write(b"\x81\x84\0\0\0\0junk" * 5000)  # frames, all at once
        await checkpoint(socket)
    assert refused(kernel.log()) == 5000
    assert kernel.log().count("refused") < 1000


async def test_what_is_sent_again_after_a_reconnect_is_there_once(server: ServerFactory, database_url: str) -> None:
    """A client that missed its pong sends its events again over a new socket."""
    api = server(database_url).api_url
    events = [an_event("test.again") for _ in range(50)]
    async with asyncio.timeout(PATIENCE):
        async with events_socket(api) as socket:
            await send_all(socket, events[:40])
            socket.transport.abort()
        async with events_socket(api) as socket:
            await send_all(socket, events)
            await checkpoint(socket)
    assert await total(api, "test.again") == 50


async def test_a_graceful_stop_stores_what_was_sent(server: ServerFactory, database_url: str) -> None:
    """Events that the server had received when it was told to stop are there after the next start."""
    kernel = server(database_url)
    async with asyncio.timeout(2 * PATIENCE), events_socket(kernel.api_url) as socket:
        await send_all(socket, [an_event("test.kept") for _ in range(300)])
        await checkpoint(socket)
        await send_all(socket, [an_event("test.last")])
        await socket.close()  # its answer comes after what was sent before
    assert await asyncio.to_thread(kernel.stop) == 0
    await asyncio.to_thread(kernel.restart)
    assert (await total(kernel.api_url, "test.kept"), await total(kernel.api_url, "test.last")) == (300, 1)
