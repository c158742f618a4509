"""WebSockets as each server speaks them: messages, order, limits, and the two handshakes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from prefect_kernel.ports.server import ServerRunner
from tests.plugins.servers.conftest import Can, Stage, needs
from tests.plugins.servers.support import PATIENCE, reply, serving
from tests.plugins.servers.ws_support import (
    BINARY,
    CLOSE,
    CONT,
    OPENING,
    PING,
    PONG,
    TEXT,
    Recorder,
    Socket,
    close_frame,
    frame,
    open_socket,
)

modes = pytest.mark.parametrize("mode", ["many", "one"])


async def talker(scope: Any, receive: Any, send: Any) -> None:
    """Does what the client's messages say."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0] if scope["subprotocols"] else None})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("bytes") is not None:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        elif message["text"].startswith("close "):
            _, code, reason = message["text"].split(" ", 2)
            await send({"type": "websocket.close", "code": int(code), "reason": reason})
        elif message["text"] == "fail":
            raise RuntimeError("asked to")
        elif message["text"] == "return":
            return
        else:
            await send({"type": "websocket.send", "text": message["text"]})


def test_client_library_talks(stage: Stage) -> None:
    """The `websockets` client negotiates a subprotocol, sends text and bytes of all sizes, pings, and closes."""

    async def scenario(runner: ServerRunner) -> None:
        async with (
            serving(runner, talker) as server,
            connect(
                f"ws://{server.authority}/p", subprotocols=[Subprotocol("prefect"), Subprotocol("b")], max_size=None
            ) as client,
        ):
            assert client.subprotocol == "prefect"
            for size in (0, 1, 125, 126, 65535, 65536, 1_000_000):
                for message in ("ü" * (size // 2), b"\xff" * size):
                    await client.send(message)
                    assert await client.recv() == message
            await client.send(iter(["frag", "", "mented ", "ÿ"]))
            assert await client.recv() == "fragmented ÿ"
            await asyncio.wait_for(await client.ping("here"), PATIENCE)
            await client.close(4000, "bye")
            assert (client.protocol.close_code, client.protocol.close_reason) == (4000, "bye")

    stage.play(scenario)


def test_no_subprotocol_and_scope(stage: Stage) -> None:
    """Without an offer no subprotocol is chosen; the scope has path, query, headers and ASGI's websocket type."""

    async def scenario(runner: ServerRunner) -> None:
        seen: dict[str, Any] = {}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.update(scope)
            await talker(scope, receive, send)

        async with serving(runner, app) as server, connect(f"ws://{server.authority}/a%20b?c=d") as client:
            assert client.subprotocol is None
            assert client.response is not None
            assert "sec-websocket-extensions" not in client.response.headers
        assert (seen["type"], seen["scheme"], seen["path"], seen["query_string"]) == ("websocket", "ws", "/a b", b"c=d")
        assert "method" not in seen
        assert b"sec-websocket-key" in dict(seen["headers"])

    stage.play(scenario)


def test_refusal_before_accept(stage: Stage) -> None:
    """A socket closed before it is accepted is HTTP 403 to the client."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            with pytest.raises(InvalidStatus) as refusal:
                await connect(f"ws://{server.authority}/")
            assert refusal.value.response.status_code == 403

    stage.play(scenario)


def test_http_response_instead_of_accept(stage: Stage) -> None:
    """An application may answer the handshake with any HTTP response, as frameworks do for unknown paths."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"content-type", b"text/x")]
        await send({"type": "websocket.http.response.start", "status": 404, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"not ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"here"})

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(OPENING % (b"", b""))
            response = await wire.response()
            assert (response.status, response.header("content-type"), response.body) == (404, "text/x", b"not here")

    stage.play(scenario)


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Version: 13", b"Version: 8", 426),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 426),
        pytest.param(b"GET ", b"POST ", 405, marks=needs(Can.TELL_UPGRADES)),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dG9vIHNob3J0", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"!!!!", 400),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"", 400),
    ],
)
def test_bad_handshakes(stage: Stage, old: bytes, new: bytes, status: int) -> None:
    """A handshake that is not one is refused without the application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("called")

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send((OPENING % (b"", b"")).replace(old, new))
            assert (await wire.response()).status == status
            assert await wire.closed()

    stage.play(scenario)


@needs(Can.TELL_UPGRADES)
def test_handshake_without_upgrade_is_http(stage: Stage) -> None:
    """`Upgrade: websocket` without `Connection: upgrade`, or in HTTP/1.0, is an ordinary request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 200, scope["type"].encode())

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            opening = OPENING % (b"", b"")
            for request in (opening.replace(b"keep-alive, Upgrade", b"close"), opening.replace(b"1.1\r", b"1.0\r")):
                wire = await server.connect()
                wire.send(request)
                assert (await wire.response()).body == b"http"

    stage.play(scenario)


def test_handshake_behind_pipelined_request(stage: Stage) -> None:
    """A WebSocket may be asked for behind another request, and its first frames may come with the handshake."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await talker(scope, receive, send)
        else:
            await asyncio.sleep(0.02)
            await reply(send, 200, b"first")

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + OPENING % (b"", b"") + frame(TEXT, "early"))
            assert (await wire.response()).body == b"first"
            assert (await wire.response()).status == 101
            assert await Socket(wire).text() == "early"

    stage.play(scenario)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(TEXT, b"caf\xc3"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),  # a surrogate
        (frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"("), 1007),
        (close_frame(1000)[:6] + b"", None),  # incomplete: nothing happens
        (frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
        (frame(CLOSE, b"\x03"), 1002),
        (close_frame(1005), 1002),
        (close_frame(1006), 1002),
        (close_frame(999), 1002),
        (close_frame(2999), 1002),
        (close_frame(5000), 1002),
        (frame(TEXT, "x", mask=None), 1002),
        (frame(TEXT, "x", rsv=4), 1002),
        (frame(TEXT, "x", rsv=1), 1002),
        (frame(3, "x"), 1002),
        (frame(11, "x"), 1002),
        (frame(PING, "x", fin=False), 1002),
        (frame(PING, "x" * 126), 1002),
        (frame(CONT, "x"), 1002),
        (frame(TEXT, "x", fin=False) + frame(TEXT, "y"), 1002),
        (frame(TEXT, "x" * 1001), 1009),
        (frame(BINARY, "x" * 70000)[:14], 1009),  # refused from its head alone
        (bytes((0x82, 0xFF)) + b"\xff" * 8, 1009),
        (frame(TEXT, "x" * 600, fin=False) + frame(CONT, "x" * 401), 1009),
    ],
)
@modes
def test_violations(stage: Stage, bad: bytes, code: int | None, mode: str) -> None:
    """What breaks the protocol or a limit closes the socket with its code; what came before is still delivered."""

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder(mode)
        async with serving(runner, app, websocket_max_message_size=1000) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "fine"), bad)
            if code is None:
                assert await socket.silent()
                return
            assert (await socket.closed())[0] == code
            await asyncio.wait_for(app.ended.wait(), PATIENCE)
            assert app.seen[0] == "fine"
            assert app.seen[-1][1] == code

    stage.play(scenario)


def test_frames_in_single_bytes(stage: Stage) -> None:
    """Frames are understood however they are cut: fragments, control frames between them, largest sizes."""

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder("many")
        async with serving(runner, app, websocket_max_message_size=1000) as server:
            socket = await open_socket(server)
            stream = (
                frame(TEXT, b"f\xc3", fin=False)
                + frame(PING, "between")
                + frame(CONT, b"", fin=False)
                + frame(CONT, b"\xbcr")
                + frame(BINARY, b"\0" * 300)
                + frame(TEXT, "")
                + frame(TEXT, "x" * 600, fin=False)
                + frame(CONT, "x" * 400)
                + frame(PONG, "unasked")
                + frame(PING, "")
            )
            for at in range(len(stream)):
                socket.send(stream[at : at + 1])
                await asyncio.sleep(0)
            assert await socket.read() == (PONG, b"between")
            assert await socket.read() == (PONG, b"")
            assert app.seen == [("ping", b"between"), "für", b"\0" * 300, "", "x" * 1000, ("ping", b"")]

    stage.play(scenario)


def test_application_closes(stage: Stage) -> None:
    """Code and reason reach the client; a long reason is cut to 123 bytes at a whole character."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, talker) as server:
            for reason, sent in (("why", "why"), ("é" * 100, "é" * 61), ("", ""), ("a" * 123, "a" * 123)):
                socket = await open_socket(server)
                socket.send(frame(TEXT, f"close 4001 {reason}"))
                assert await socket.closed() == (4001, sent)

    stage.play(scenario)


def test_messages_behind_the_applications_close_are_dropped(stage: Stage) -> None:
    """The peer may still be sending when it is told to close: its close frame is found behind its messages."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, talker, websocket_buffer_messages=4) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "close 1000 "), *[frame(TEXT, "late")] * 5000)
            assert await socket.closed() == (1000, "")

    stage.play(scenario)


def test_application_returns_or_fails(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """An application that returns closes with 1000; one that raises closes with 1011, and is logged."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, talker) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "return"))
            assert (await socket.closed())[0] == 1000
            assert not caplog.records
            socket = await open_socket(server)
            socket.send(frame(TEXT, "fail"))
            assert (await socket.closed())[0] == 1011
            assert caplog.records[0].exc_info is not None

    stage.play(scenario)


def test_application_fails_before_accept(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """An application that raises, or returns, without answering the handshake is HTTP 500, and is logged."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/raise":
            raise RuntimeError("asked to")

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            for path in (b"raise", b"return"):
                wire = await server.connect()
                wire.send(OPENING % (path, b""))
                assert (await wire.response()).status == 500
        assert len(caplog.records) == 2

    stage.play(scenario)
