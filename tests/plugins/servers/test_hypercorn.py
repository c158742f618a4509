"""Hypercorn's own ways, where they differ from the default server's (see `Can` in conftest.py)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from prefect_kernel.ports.server import ServerRunner
from tests.plugins.servers.conftest import Stage
from tests.plugins.servers.support import echo, reply, serving

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(params=["hypercorn", "hypercorn-asyncio"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """Hypercorn, on both loops."""
    return Stage(request.param)


@pytest.mark.parametrize("head", [GET[:-5], GET + GET[:-5]])
def test_slow_heads_are_hung_up_on(stage: Stage, head: bytes) -> None:
    """A client that is slow with the head of a request is hung up on, as one that sends nothing is."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, keep_alive_timeout=0.3) as server:
            wire = await server.connect()
            wire.send(head)
            if head.startswith(GET):
                assert (await wire.response()).status == 200
            assert await wire.closed()

    stage.play(scenario)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET[:-2] + b"A: " + b"a" * 70000, 431),  # unless all of it comes at once
        (b"GET / HTTP/3.9\r\nHost: x\r\n\r\n", 200),
        (b"GET http://x:1/p/q?z=1 HTTP/1.1\r\nHost: x:1\r\n\r\n", 200),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001, 200),
    ],
    ids=["large head", "unknown version", "proxy", "large body"],
)
def test_what_is_left_to_the_application(stage: Stage, request_: bytes, status: int) -> None:
    """Versions, targets and sizes that the default server judges are the application's business."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, max_body_size=1000) as server:
            wire = await server.connect()
            wire.send(request_)
            assert (await wire.response()).status == status

    stage.play(scenario)


def test_http2(stage: Stage) -> None:
    """HTTP/2 is spoken to a client that says so without asking (its first frame is the settings)."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            wire = await server.connect()
            wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            head = await asyncio.wait_for(wire.reader.readexactly(9), 10)
            assert head[3] == 4

    stage.play(scenario)


def test_answer_before_the_body_has_come_closes(stage: Stage) -> None:
    """A request that is answered before its body has come is the last one on its connection."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 200, scope["path"].encode())

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n")
            assert (await wire.response()).body == b"/early"
            assert await wire.closed()

    stage.play(scenario)


def test_continue_is_said_at_once(stage: Stage) -> None:
    """100 is sent even when the application does not want the body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 401, b"no")

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n")
            assert (await wire.response()).status == 100
            assert (await wire.response()).status == 401

    stage.play(scenario)


def test_head_is_sent_at_once_and_length_is_the_applications(stage: Stage) -> None:
    """A response without a length is chunked even when it is whole; an error after its start breaks it off."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/fail":
            raise RuntimeError("asked to")
        await send({"type": "http.response.body", "body": b"whole"})

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(GET)
            response = await wire.response()
            assert (response.header("content-length"), response.body) == (None, b"whole")
            wire.send(GET.replace(b"/a", b"/fail"))
            broken = await wire.rest()
            assert broken.startswith(b"HTTP/1.1 200 ")
            assert not broken.endswith(b"0\r\n\r\n")

    stage.play(scenario)


def test_other_methods_do_not_open_websockets(stage: Stage) -> None:
    """A POST that asks for a WebSocket is an ordinary request; HTTP/1.0 is no obstacle to one."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await reply(send, 200, b"http")
        else:
            await receive()
            await send({"type": "websocket.accept"})

    async def scenario(runner: ServerRunner) -> None:
        opening = (
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        async with serving(runner, app) as server:
            for request, status in ((opening.replace(b"GET", b"POST"), 200), (opening.replace(b"/1.1", b"/1.0"), 101)):
                wire = await server.connect()
                wire.send(request)
                assert (await wire.response()).status == status

    stage.play(scenario)


def test_a_body_that_ends_in_two_ways(stage: Stage) -> None:
    """Length and chunks together are refused as on the other servers, and nothing after them is read as a request."""
    both = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    )

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            for request in both:
                wire = await server.connect()
                wire.send(request + GET)
                assert (await wire.response()).status == 400
                assert await wire.rest() == b""

    stage.play(scenario)
