"""Bodies of requests that arrive slowly, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from prefect_kernel.ports.server import ServerRunner
from tests.plugins.servers.conftest import Stage
from tests.plugins.servers.support import PATIENCE, echo, read_body, reply, serving

HEAD = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
CHUNKED = b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("sent", [HEAD, HEAD + b"ab", CHUNKED + b"4\r\nab", CHUNKED + b"2\r\nab\r\n"])
def test_body_that_stands_still(stage: Stage, sent: bytes) -> None:
    """A body of which nothing more comes is answered with 408; the application is told that the client is gone."""

    async def scenario(runner: ServerRunner) -> None:
        seen: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.set_result(await read_body(receive))
            await reply(send, 200, b"to nobody")

        async with serving(runner, app, body_timeout=0.2) as server:
            wire = await server.connect()
            wire.send(sent)
            response = await wire.response()
            assert (response.status, response.header("connection")) == (408, "close")
            assert await wire.closed()
            assert await asyncio.wait_for(seen, PATIENCE) is None

    stage.play(scenario)


def test_body_that_gets_on(stage: Stage) -> None:
    """A body may take longer than the limit altogether, as long as it never stands still for so long."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, body_timeout=2.0) as server:
            wire = await server.connect()
            wire.send(HEAD.replace(b"4", b"6"))
            for _ in range(6):
                await asyncio.sleep(0.5)
                wire.send(b"x")
            assert (await wire.response()).json["body"] == "xxxxxx"

    stage.play(scenario)


def test_application_that_takes_its_time(stage: Stage) -> None:
    """A client is not blamed for what the application does not read, nor for waiting to be told to continue."""

    async def scenario(runner: ServerRunner) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0.7)
            body = await read_body(receive)
            await asyncio.sleep(0.7)
            await reply(send, 200, str(len(body or b"")).encode())

        async with serving(runner, app, body_timeout=0.2) as server:
            wire = await server.connect()
            wire.send(HEAD.replace(b"4", b"1000000") + b"x" * 1_000_000)
            assert (await wire.response()).body == b"1000000"
            wire.send(HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
            assert (await wire.response()).status == 100
            wire.send(b"body")
            assert (await wire.response()).body == b"4"

    stage.play(scenario)


def test_pipelined_body_has_its_time_when_its_turn_has_come(stage: Stage) -> None:
    """The body of a request that waits behind another has its full time once that one is answered, and no more."""

    async def scenario(runner: ServerRunner) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/first":
                await asyncio.sleep(0.7)
            await reply(send, 200, await read_body(receive) or b"")

        async with serving(runner, app, body_timeout=0.3) as server:
            for complete in (True, False):
                wire = await server.connect()
                wire.send(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD + b"ab")
                assert (await wire.response()).status == 200
                if complete:
                    wire.send(b"cd")
                    assert (await wire.response()).body == b"abcd"
                else:
                    assert (await wire.response()).status == 408

    stage.play(scenario)


def test_response_under_way_breaks_off(stage: Stage) -> None:
    """When the response has begun, a body that stands still ends the connection: 408 would come too late."""

    async def scenario(runner: ServerRunner) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            assert await read_body(receive) is None

        async with serving(runner, app, body_timeout=0.2) as server:
            wire = await server.connect()
            wire.send(HEAD + b"ab")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await wire.response()

    stage.play(scenario)
