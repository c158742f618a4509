"""Clients that read an answer slowly, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from prefect_kernel.ports.server import ServerRunner
from tests.plugins.servers.conftest import Can, Stage, needs
from tests.plugins.servers.support import PATIENCE, reply, serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

SIZE = 48 * 1024 * 1024
"""Bytes of an answer: more than the buffers of sockets hold."""


@needs(Can.DROP_BODIES)
@pytest.mark.parametrize("end", [b"", b"Connection: close\r\n"])
def test_a_reader_that_gets_on(stage: Stage, end: bytes) -> None:
    """An answer may take longer than an idle connection is kept open, as long as some of it is read."""

    async def scenario(runner: ServerRunner) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await reply(send, 200, b"x" * SIZE)

        async with serving(runner, app, keep_alive_timeout=0.1, body_timeout=5.0) as server:
            wire = await server.connect()
            wire.send(GET.replace(b"\r\n\r\n", b"\r\n" + end + b"\r\n"))
            await wire.reader.readuntil(b"\r\n\r\n")
            left = SIZE
            for _ in range(12):
                await asyncio.sleep(0.25)
                left -= len(await wire.reader.readexactly(SIZE // 100))
            assert len(await asyncio.wait_for(wire.reader.readexactly(left), PATIENCE)) == left

    stage.play(scenario)


@needs(Can.DROP_BODIES)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_reader_that_stands_still(stage: Stage, streamed: bool) -> None:
    """A client that reads nothing holds neither memory nor the application for longer than a while."""

    async def scenario(runner: ServerRunner) -> None:
        ended = asyncio.get_running_loop().create_future()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if not streamed:
                await reply(send, 200, b"x" * SIZE)
            else:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for _ in range(SIZE // 65536):
                    await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            ended.set_result(None)

        async with serving(runner, app, keep_alive_timeout=0.1, body_timeout=0.3) as server:
            wire = await server.connect()
            wire.send(GET)
            await asyncio.wait_for(ended, PATIENCE)
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(wire.reader.readexactly(SIZE), PATIENCE)

    stage.play(scenario)
