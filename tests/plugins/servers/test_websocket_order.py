"""The order of messages, pings and close, back-pressure, and the server's own pings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from prefect_kernel.ports.server import ServerRunner
from tests.plugins.servers.conftest import Stage
from tests.plugins.servers.support import PATIENCE, serving
from tests.plugins.servers.ws_support import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Recorder,
    close_frame,
    frame,
    open_socket,
)

modes = pytest.mark.parametrize("mode", ["many", "one"])


@modes
def test_pong_after_what_came_before_is_taken(stage: Stage, mode: str) -> None:
    """A pong is sent when the application has taken the messages before the ping, but not those after it."""

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder(mode, open_gate=False)
        async with serving(runner, app) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "a"), frame(TEXT, "b"), frame(PING, "1"), frame(TEXT, "c"), frame(PING, "2"))
            assert await socket.silent()
            assert app.seen == []
            app.gate.set()
            assert await socket.read() == (PONG, b"1")
            assert app.seen[:2] == ["a", "b"]
            assert await socket.read() == (PONG, b"2")
            assert [item for item in app.seen if isinstance(item, str)] == ["a", "b", "c"]

    stage.play(scenario)


def test_plain_receive_answers_a_ping_when_asked_for_more(stage: Stage) -> None:
    """With ASGI's receive, the pong waits until the application has dealt with the message before it."""

    async def scenario(runner: ServerRunner) -> None:
        dealt_with = asyncio.Event()
        taken = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            assert (await receive())["text"] == "work"
            taken.set()
            await dealt_with.wait()
            await receive()

        async with serving(runner, app) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "work"), frame(PING, "done?"))
            await asyncio.wait_for(taken.wait(), PATIENCE)
            assert await socket.silent()
            dealt_with.set()
            assert await socket.read() == (PONG, b"done?")

    stage.play(scenario)


def test_the_two_ways_to_receive_follow_each_other(stage: Stage) -> None:
    """`receive_many` goes on where `receive` stopped, with nothing lost between them."""

    async def scenario(runner: ServerRunner) -> None:
        seen: list[Any] = []
        all_seen = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            many = scope["extensions"]["prefect_kernel.websocket"]["receive_many"]
            await asyncio.sleep(0.05)  # so that all three are there
            seen.append((await receive())["text"])
            seen.extend(await many())
            seen.append((await receive())["text"])
            all_seen.set()

        async with serving(runner, app) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "a"), frame(TEXT, "b"), frame(TEXT, "c"))
            await asyncio.sleep(0.2)
            socket.send(frame(TEXT, "d"))
            await asyncio.wait_for(all_seen.wait(), PATIENCE)
            assert seen == ["a", "b", "c", "d"]

    stage.play(scenario)


@modes
def test_close_waits_for_what_came_before_it(stage: Stage, mode: str) -> None:
    """The server answers a close frame when the application has come back from the messages before it."""

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder(mode, open_gate=False)
        async with serving(runner, app) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "last words"), close_frame(1000, "done"))
            assert await socket.silent()
            app.gate.set()
            assert await socket.closed() == (1000, "done")
            assert app.seen == ["last words", ("end", 1000, "done")]

    stage.play(scenario)


def test_close_of_an_application_that_does_not_listen(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A close frame is answered after a while even when the application never asks for a message."""
    monkeypatch.setattr("prefect_kernel_plugins.server_common.websocket.CLOSE_TIMEOUT", 0.1)

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder("many", open_gate=False)
        async with serving(runner, app) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "kept"), close_frame(1000))
            assert await socket.closed() == (1000, "")
            app.gate.set()
            await asyncio.wait_for(app.ended.wait(), PATIENCE)
            assert app.seen == ["kept", ("end", 1000, "")]

    stage.play(scenario)


def test_sending_to_a_closed_socket(stage: Stage) -> None:
    """An application that only sends learns of the close from `send`, which answers it."""

    async def scenario(runner: ServerRunner) -> None:
        failed = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            try:
                while True:
                    await send({"type": "websocket.send", "text": "tick"})
                    await asyncio.sleep(0.01)
            except ConnectionError:
                failed.set()
                raise  # not an error of the application: nothing is logged

        async with serving(runner, app) as server:
            socket = await open_socket(server)
            assert await socket.text() == "tick"
            socket.send(close_frame(1001))
            while (received := await socket.read())[0] == TEXT:
                pass
            assert received == (CLOSE, (1001).to_bytes(2, "big"))
            await asyncio.wait_for(failed.wait(), PATIENCE)

    stage.play(scenario)


@modes
def test_lost_connection(stage: Stage, mode: str) -> None:
    """A connection that breaks off is 1006, after the messages that had arrived."""

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder(mode)
        async with serving(runner, app) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "a"), frame(TEXT, "half")[:-2])
            await socket.wire.writer.drain()
            socket.wire.writer.close()
            await asyncio.wait_for(app.ended.wait(), PATIENCE)
            assert app.seen == ["a", ("end", 1006, "")]

    stage.play(scenario)


@pytest.mark.parametrize("limit", [{"websocket_buffer_messages": 10}, {"websocket_buffer_size": 1000}])
@modes
def test_back_pressure(stage: Stage, limit: dict[str, int], mode: str) -> None:
    """A client that sends more than the application takes is held back; nothing is lost or out of order."""
    count = 30_000

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder(mode, open_gate=False)
        async with serving(runner, app, **limit) as server:
            socket = await open_socket(server)
            for number in range(count):
                socket.send(frame(TEXT, f"{number:0400}"))
            socket.send(frame(PING, "all?"))
            drained = asyncio.ensure_future(socket.wire.writer.drain())
            done, _ = await asyncio.wait({drained}, timeout=0.3)
            assert not done
            app.gate.set()
            assert await socket.read() == (PONG, b"all?")
            await drained
            assert [int(item) for item in app.seen if isinstance(item, str)] == list(range(count))

    stage.play(scenario)


def test_bound_of_one_batch(stage: Stage) -> None:
    """`receive_many` never gives more than the buffer's limit, even when one read brought more."""

    async def scenario(runner: ServerRunner) -> None:
        sizes: list[int] = []
        finished = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            await asyncio.sleep(0.05)
            while sum(sizes) < 1000:
                sizes.append(len(await scope["extensions"]["prefect_kernel.websocket"]["receive_many"]()))
            finished.set()

        async with serving(runner, app, websocket_buffer_messages=64) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "m") * 1000)
            await asyncio.wait_for(finished.wait(), PATIENCE)
            assert max(sizes) <= 64
            assert sum(sizes) == 1000

    stage.play(scenario)


def test_send_waits_for_a_slow_reader(stage: Stage) -> None:
    """The application cannot send far ahead of a client that does not read."""

    async def scenario(runner: ServerRunner) -> None:
        sent = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal sent
            await receive()
            await send({"type": "websocket.accept"})
            for _ in range(400):
                await send({"type": "websocket.send", "bytes": b"x" * 100_000})
                sent += 1

        async with serving(runner, app) as server:
            socket = await open_socket(server)
            await asyncio.sleep(0.3)
            assert sent < 400
            for _ in range(400):
                assert len((await socket.read())[1]) == 100_000
            assert (await socket.closed())[0] == 1000

    stage.play(scenario)


def test_server_pings(stage: Stage) -> None:
    """The server pings at its interval; a client that answers stays, one that is silent is closed with 1011."""

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder("many")
        limits = {"websocket_ping_interval": 0.1, "websocket_ping_timeout": 0.2}
        async with serving(runner, app, **limits) as server:
            socket = await open_socket(server)
            for _ in range(4):
                opcode, payload = await socket.read()
                assert opcode == PING
                socket.send(frame(PONG, payload))
            while (received := await socket.read())[0] == PING:
                pass
            assert received == (CLOSE, (1011).to_bytes(2, "big") + b"keepalive ping timeout")
            await asyncio.wait_for(app.ended.wait(), PATIENCE)
            assert app.seen == [("end", 1011, "keepalive ping timeout")]

    stage.play(scenario)


def test_server_pings_spare_a_client_that_is_held_back(stage: Stage) -> None:
    """A client whose pong cannot be read because the application is slow is not taken for dead."""

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder("many", open_gate=False)
        limits = {"websocket_ping_interval": 0.05, "websocket_ping_timeout": 0.05, "websocket_buffer_messages": 2}
        async with serving(runner, app, **limits) as server:
            socket = await open_socket(server)
            socket.send(*[frame(TEXT, "m")] * 10, frame(PING, "mine"))
            await asyncio.sleep(0.5)
            app.gate.set()
            while (received := await socket.read())[0] == PING:
                socket.send(frame(PONG, received[1]))
            assert received == (PONG, b"mine")

    stage.play(scenario)
