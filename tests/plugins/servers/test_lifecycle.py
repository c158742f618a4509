"""Where servers listen, what they do to idle and slow clients, and how they end."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
from typing import Any

import pytest

from prefect_kernel.errors import ServerError
from prefect_kernel.ports.server import Address, ServeConfig, ServerRunner, open_sockets
from tests.plugins.servers.conftest import Can, Stage, needs
from tests.plugins.servers.support import PATIENCE, echo, read_body, reply, serving
from tests.plugins.servers.ws_support import (
    CLOSE,
    OPENING,
    PING,
    PONG,
    TEXT,
    Recorder,
    close_frame,
    frame,
    open_socket,
)

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::1", "[::1]", "::", ""])
def test_hosts(stage: Stage, host: str) -> None:
    """The server listens on IPv4, IPv6, all addresses and names; port 0 becomes a real one, told in `ready`."""
    if ":" in host and not has_ipv6():
        host = "127.0.0.1"

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, host=host) as server:
            assert server.port > 0
            server.host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)
            wire = await server.connect()
            wire.send(GET)
            assert (await wire.response()).status == 200

    stage.play(scenario)


def test_address_as_url() -> None:
    """An IPv6 address stands in brackets in a URL."""
    assert Address("127.0.0.1", 80).url == "http://127.0.0.1:80"
    assert Address("::1", 80).url == "http://[::1]:80"


def test_port_in_use(stage: Stage) -> None:
    """A port that is taken is one sentence that says which, and what to do."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as first:
            with pytest.raises(ServerError, match=f"Port {first.port} on 127.0.0.1 is already in use: .*--port"):
                async with serving(runner, echo, port=first.port):
                    pass

    stage.play(scenario)


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("192.0.2.1", 0, "it is not an address of this machine"),
        ("no-such-host.invalid", 0, "it is neither an address nor the name of this host"),
        ("a" * 70, 0, "it is neither an address nor the name of this host"),
        ("127.0.0.1", 70000, "ports go from 0 to 65535"),
    ],
)
def test_impossible_addresses(host: str, port: int, sentence: str) -> None:
    """An address that cannot be listened on is one sentence."""
    with pytest.raises(ServerError, match=sentence):
        open_sockets(ServeConfig(host=host, port=port))


def test_forbidden_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that needs more rights is one sentence that says so."""

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ServerError, match="No permission to listen on port 80"):
        open_sockets(ServeConfig(port=80))


def test_given_sockets(stage: Stage) -> None:
    """Sockets that the caller opened are served, as workers need it."""

    async def scenario(runner: ServerRunner) -> None:
        sockets = open_sockets(ServeConfig(port=0))
        async with serving(runner, echo, sockets=sockets) as server:
            assert server.port == sockets[0].getsockname()[1]
            wire = await server.connect()
            wire.send(GET)
            assert (await wire.response()).status == 200

    stage.play(scenario)


def test_idle_connections_are_closed(stage: Stage) -> None:
    """A connection without a request is closed after the keep-alive timeout; one that is being served is not."""

    async def scenario(runner: ServerRunner) -> None:
        release = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/slow":
                await release.wait()
            await reply(send, 200, b"")

        async with serving(runner, app, keep_alive_timeout=0.2) as server:
            idle, busy = await server.connect(), await server.connect()
            busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.send(GET)
            assert (await idle.response()).status == 200
            assert await idle.closed()
            release.set()
            assert (await busy.response()).status == 200

    stage.play(scenario)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(GET[:-5], 408, id="part", marks=needs(Can.ANSWER_BAD_HEADS)),
        pytest.param(GET + GET[:-5], 408, id="second", marks=needs(Can.ANSWER_BAD_HEADS)),
    ],
)
def test_slow_heads(stage: Stage, sent: bytes, answer: int | None) -> None:
    """A client that does not complete a request's head in time gets 408, or is hung up on if it sent nothing."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, header_timeout=0.2, keep_alive_timeout=0.2) as server:
            wire = await server.connect()
            wire.send(sent)
            if sent.startswith(GET):
                assert (await wire.response()).status == 200
            if answer is not None:
                assert (await wire.response()).status == answer
            assert await wire.closed()

    stage.play(scenario)


@needs(Can.ANSWER_BAD_HEADS)
def test_trickling_head_does_not_extend_its_time(stage: Stage) -> None:
    """The time for a head counts from its first byte, however often a little more of it comes."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, header_timeout=0.3) as server:
            wire = await server.connect()
            wire.send(b"GET / HTTP/1.1\r\n")
            response = asyncio.ensure_future(wire.response())
            for number in range(200):
                wire.send(b"X-%d: y\r\n" % number)
                await asyncio.wait({response}, timeout=0.05)
                if response.done():
                    break
            assert (await response).status == 408

    stage.play(scenario)


def test_client_that_leaves_is_noticed(stage: Stage) -> None:
    """`receive` gives http.disconnect when the client leaves before its body is complete, or resets the connection."""

    async def scenario(runner: ServerRunner) -> None:
        seen: asyncio.Queue[Any] = asyncio.Queue()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            body = await read_body(receive)
            seen.put_nowait(body)
            seen.put_nowait((await receive())["type"])
            await reply(send, 200, b"to nobody")

        async with serving(runner, app) as server:
            for content in (b"ab", b"abcd"):
                wire = await server.connect()
                wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n" + content)
                await wire.writer.drain()
                if len(content) == 4:
                    assert await asyncio.wait_for(seen.get(), PATIENCE) == b"abcd"
                    # One that only sends no more may still read.
                    reset = struct.pack("ii", 1, 0)
                    wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                await wire.close()
                if len(content) == 2:
                    assert await asyncio.wait_for(seen.get(), PATIENCE) is None
                assert await asyncio.wait_for(seen.get(), PATIENCE) == "http.disconnect"

    stage.play(scenario)


@needs(Can.HOLD_HEADS)
def test_application_that_fails(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """An error before the response is 500; after its start the connection breaks; both are logged."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/early":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        if scope["path"] == "/late":
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        if scope["path"] == "/return":
            return
        if scope["path"] == "/short":
            await send({"type": "http.response.body", "body": b"short"})
        if scope["path"] == "/long":
            await send({"type": "http.response.body", "body": b"much too long"})
        raise RuntimeError("asked to")

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            for number, path in enumerate(("early", "started", "return", "short", "long", "late"), start=1):
                wire = await server.connect()
                wire.send(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
                if path == "late":
                    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                        await wire.response()
                else:
                    response = await wire.response()
                    assert (response.status, response.header("connection")) == (500, "close")
                    assert await wire.closed()
                assert len(caplog.records) == number

    stage.play(scenario)


@pytest.mark.parametrize("header", [(b"x", b"a\r\nb: c"), (b"x", b"a\nb"), (b"x y", b"a"), (b"x", b"\0"), (b"", b"a")])
def test_response_splitting_is_impossible(stage: Stage, header: tuple[bytes, bytes]) -> None:
    """A header that would end its line, or is not one, never reaches the client."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 200, b"", header)

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(GET)
            response = await wire.response()
            assert response.status == 500
            assert response.header("b") is None

    logging.disable(logging.CRITICAL)
    try:
        stage.play(scenario)
    finally:
        logging.disable(logging.NOTSET)


def test_stop_lets_requests_finish(stage: Stage) -> None:
    """Told to stop, a server refuses new connections, closes idle ones, finishes what is under way, and returns."""

    async def scenario(runner: ServerRunner) -> None:
        release, started = asyncio.Event(), asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/slow":
                started.set()
                await release.wait()
            await reply(send, 200, b"finished")

        async with serving(runner, app) as server:
            idle, partial, busy = await server.connect(), await server.connect(), await server.connect()
            idle.send(GET)
            assert (await idle.response()).status == 200
            partial.send(GET[:-5])
            busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(started.wait(), PATIENCE)
            server.stop.set()
            assert await idle.closed()
            assert await partial.closed()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(server.host, server.port)
            assert not server.task.done()
            release.set()
            response = await busy.response()
            assert (response.body, response.header("connection")) == (b"finished", "close")
            await server.ended()

    stage.play(scenario)


def test_stop_cancels_what_takes_too_long(stage: Stage) -> None:
    """Requests that are still running after the graceful timeout are cancelled, and the server returns."""

    async def scenario(runner: ServerRunner) -> None:
        started = asyncio.Event()
        outcomes: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.accept"})
            try:
                started.set()
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                outcomes.append(scope["type"])
                raise

        async with serving(runner, app, graceful_timeout=0.2) as server:
            wire = await server.connect()
            wire.send(GET)
            await asyncio.wait_for(started.wait(), PATIENCE)
            await open_socket(server)
            server.stop.set()
            await server.ended()
            assert sorted(outcomes) == ["http", "websocket"]

    stage.play(scenario)


@pytest.mark.parametrize("mode", ["many", "one"])
def test_stop_closes_websockets(stage: Stage, mode: str) -> None:
    """Open WebSockets are closed with 1012 after the application has had what came before, and told the code."""

    async def scenario(runner: ServerRunner) -> None:
        app = Recorder(mode, open_gate=False)
        async with serving(runner, app, graceful_timeout=5.0) as server:
            socket = await open_socket(server)
            socket.send(frame(TEXT, "a"), frame(PING, "b"))
            assert await socket.silent()
            server.stop.set()
            assert await socket.silent()
            app.gate.set()
            assert await socket.read() == (PONG, b"b")
            assert await socket.read() == (CLOSE, (1012).to_bytes(2, "big"))
            socket.send(frame(TEXT, "late"), close_frame(1012))
            assert await socket.wire.closed()
            await server.ended()
            assert app.seen[0] == "a"
            assert app.seen[-1] == ("end", 1012, "")
            assert "late" not in app.seen

    stage.play(scenario)


def test_stop_during_a_handshake(stage: Stage) -> None:
    """A WebSocket that the application has not accepted yet is answered with 503."""

    async def scenario(runner: ServerRunner) -> None:
        asked = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert (await receive())["type"] == "websocket.connect"
            asked.set()
            assert (await receive())["type"] == "websocket.disconnect"

        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(OPENING % (b"", b""))
            await asyncio.wait_for(asked.wait(), PATIENCE)
            server.stop.set()
            assert (await wire.response()).status == 503
            await server.ended()

    stage.play(scenario)
