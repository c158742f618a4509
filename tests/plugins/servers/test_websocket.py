"""WebSockets as each server speaks them: messages, order, limits, and the two handshakes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from prefect_kernel.ports.server import ServerRunner
from tests.plugins.servers.conftest import Stage
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
            assert (client.close_code, client.close_reason) == (4000, "bye")

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
        (b"GET ", b"POST ", 405),
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
