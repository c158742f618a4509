"""HTTP/1.1 as each server speaks it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from prefect_kernel.ports.server import ServerRunner
from tests.plugins.servers.conftest import Can, Stage, needs
from tests.plugins.servers.support import echo, read_body, reply, serving

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


def test_request_reaches_the_application_as_sent(stage: Stage) -> None:
    """Method, decoded and raw path, query, lower-cased headers and body arrive unchanged."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            wire = await server.connect()
            wire.send(
                b"POST /caf%C3%A9/%2Fx?a=1&b=%20 HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nX-two:  2 \r\n"
                b"Content-Length: 4\r\n\r\nb\0d\xff"
            )
            seen = (await wire.response()).json
            assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/café//x", "a=1&b=%20")
            assert seen["raw_path"] == "/caf%C3%A9/%2Fx"
            assert seen["headers"] == [["host", "x"], ["x-two", "1"], ["x-two", "2"], ["content-length", "4"]]
            assert seen["body"] == "b\0d\xff"

    stage.play(scenario)


@needs(Can.READ_PROXY_TARGETS)
def test_absolute_target_is_reduced_to_its_path(stage: Stage) -> None:
    """A proxy's `GET http://host/path?q` is the same request as `GET /path?q`."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            wire = await server.connect()
            wire.send(b"GET http://x:1/p/q?z=1 HTTP/1.1\r\nHost: x:1\r\n\r\n")
            seen = (await wire.response()).json
            assert (seen["path"], seen["query"]) == ("/p/q", "z=1")
            wire.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await wire.response()).json["path"] == "*"

    stage.play(scenario)


def test_connection_is_kept_alive(stage: Stage) -> None:
    """Several requests, one after the other, are answered on one connection, each with a date."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            wire = await server.connect()
            for number in range(3):
                wire.send(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
                response = await wire.response()
                assert (response.status, response.json["path"]) == (200, f"/{number}")
                assert response.header("date")
                assert response.header("connection") is None

    stage.play(scenario)


@pytest.mark.parametrize(("version", "header"), [(b"1.1", b"Connection: close\r\n"), (b"1.0", b"")])
def test_connection_is_closed_when_the_client_says_so(stage: Stage, version: bytes, header: bytes) -> None:
    """`Connection: close`, and HTTP/1.0, end the connection after the response."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            wire = await server.connect()
            wire.send(b"GET / HTTP/%b\r\nHost: x\r\n%b\r\n" % (version, header))
            response = await wire.response()
            assert (response.status, response.header("connection")) == (200, "close")
            assert await wire.closed()

    stage.play(scenario)


def test_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
    """Requests sent without waiting run one after the other, and their responses keep their order."""

    async def scenario(runner: ServerRunner) -> None:
        running = most = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            body = await read_body(receive)
            await asyncio.sleep(0)
            running -= 1
            await reply(send, 200, scope["path"].encode() + b"=" + (body or b""))

        async with serving(runner, app) as server:
            wire = await server.connect()
            for number in range(200):
                wire.send(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%03d" % (number, number))
            for number in range(200):
                assert (await wire.response()).body == b"/%d=%03d" % (number, number)
            assert most == 1

    stage.play(scenario)


@pytest.mark.parametrize("more", [b"", b"GET /cut"])
def test_half_closed_connection_has_its_answers(stage: Stage, more: bytes) -> None:
    """Who sends no more may still read: what was asked for whole is answered, then the connection is closed."""

    async def scenario(runner: ServerRunner) -> None:
        ended = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            await read_body(receive)
            await ended.wait()
            await asyncio.sleep(0.02)  # the server has seen the end of what the client sends
            await reply(send, 200, scope["path"].encode())

        async with serving(runner, app) as server:
            wire = await server.connect()
            asked = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
            wire.send(b"".join(asked % number for number in range(3)) + more)
            wire.end()
            ended.set()
            for number in range(3):
                assert (await wire.response()).body == b"/%d" % number
            assert await wire.closed()

    stage.play(scenario)


def test_pipelined_body_that_comes_late(stage: Stage) -> None:
    """A pipelined request whose body is still to come is completed once its turn has come."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            wire = await server.connect()
            wire.send(GET + b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 600000\r\n\r\n")
            assert (await wire.response()).json["path"] == "/a"
            wire.send(b"x" * 600000)
            assert len((await wire.response()).json["body"]) == 600000

    stage.play(scenario)


def test_request_in_single_bytes(stage: Stage) -> None:
    """A request is understood however it is cut into packets; a chunked body too, and its trailers are dropped."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            wire = await server.connect()
            text = (
                b"POST /p?q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nX-Trailer: t\r\n\r\n"
            )
            for at in range(len(text)):
                wire.send(text[at : at + 1])
                await wire.writer.drain()
                await asyncio.sleep(0)
            seen = (await wire.response()).json
            assert seen["body"] == "hello!"
            assert seen["headers"] == [["host", "x"], ["transfer-encoding", "chunked"]]
            wire.send(GET)
            assert (await wire.response()).json["headers"] == [["host", "x"]]

    stage.play(scenario)


def test_expect_continue(stage: Stage) -> None:
    """100 is sent when the application asks for the body, and the response follows on the same connection."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            wire = await server.connect()
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert (await wire.response()).status == 100
            wire.send(b"ok")
            response = await wire.response()
            assert (response.json["body"], response.header("connection")) == ("ok", None)

    stage.play(scenario)


@needs(Can.ASK_LATE)
def test_expect_continue_refused(stage: Stage) -> None:
    """An application that answers without reading the body gets it neither asked for nor mistaken for a request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 401, b"no")

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n")
            response = await wire.response()
            assert (response.status, response.header("connection")) == (401, "close")
            assert await wire.closed()

    stage.play(scenario)


@needs(Can.DROP_BODIES)
def test_answer_before_the_body_has_come(stage: Stage) -> None:
    """The rest of a body that nobody wants is dropped, and the connection goes on with the next request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 200, scope["path"].encode())

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\nGET")
            assert (await wire.response()).body == b"/early"
            wire.send(b"y" * (400000 - 3) + GET)
            assert (await wire.response()).body == b"/a"

    stage.play(scenario)


def test_responses_without_length_are_chunked(stage: Stage) -> None:
    """A streamed response is chunked for HTTP/1.1, and ends with the connection for HTTP/1.0."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]})
        for part in (b"one", b"", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(GET)
            response = await wire.response()
            assert (response.header("transfer-encoding"), response.body) == ("chunked", b"onetwo")
            wire.send(GET.replace(b"1.1", b"1.0"))
            response = await wire.response()
            assert (response.header("transfer-encoding"), response.body) == (None, b"onetwo")

    stage.play(scenario)


@needs(Can.COUNT)
def test_length_is_added_to_whole_responses(stage: Stage) -> None:
    """A response sent in one piece gets a content-length; HEAD, 204 and 304 get no body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": int(scope["path"][1:])})
        await send({"type": "http.response.body", "body": b"body"})

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, app) as server:
            wire = await server.connect()
            for method, status, length, body in (
                (b"GET", 200, "4", b"body"),
                (b"HEAD", 200, None, b""),
                (b"GET", 204, None, b""),
                (b"GET", 304, None, b""),
                (b"GET", 418, "4", b"body"),
                (b"GET", 799, "4", b"body"),
            ):
                wire.send(b"%b /%d HTTP/1.1\r\nHost: x\r\n\r\n" % (method, status))
                response = await wire.response(head=method == b"HEAD")
                assert (response.status, response.header("content-length"), response.body) == (status, length, body)

    stage.play(scenario)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        pytest.param(b"GET / HTTP/3.9\r\nHost: x\r\n\r\n", 400, marks=needs(Can.REFUSE_ODDITIES)),
        (b"GET /\r\nHost: x\r\n\r\n", 400),
        (b"GET /HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            marks=needs(Can.REFUSE_ODDITIES),
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        pytest.param(b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501, marks=needs(Can.REFUSE_ODDITIES)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, marks=needs(Can.STAY_WITH_HTTP1)),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70000 + b"\r\n\r\n", 431, marks=needs(Can.ANSWER_BAD_HEADS)
        ),
        (b"GET /" + b"a" * 70000, 431),
        pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413, marks=needs(Can.LIMIT_BODIES)),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            400,
            marks=needs(Can.LIMIT_BODIES),
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001,
            413,
            marks=needs(Can.LIMIT_BODIES),
        ),
    ],
    ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_bad_requests_are_refused(stage: Stage, request_: bytes, status: int) -> None:
    """What is not a request, or is beyond a limit, is answered with its status, and the connection is closed."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, max_body_size=1000) as server:
            wire = await server.connect()
            wire.send(GET + request_)
            assert (await wire.response()).status == 200
            response = await wire.response()
            assert (response.status, response.header("connection")) == (status, "close")
            assert await wire.closed()

    stage.play(scenario)


@needs(Can.LIMIT_BODIES)
def test_largest_allowed_body(stage: Stage) -> None:
    """A body of exactly the limit is accepted, with a length and chunked."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, max_body_size=1000) as server:
            wire = await server.connect()
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)
            assert len((await wire.response()).json["body"]) == 1000
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            wire.send(b"1f4\r\n" + b"x" * 500 + b"\r\n1f4\r\n" + b"x" * 500 + b"\r\n0\r\n\r\n")
            assert len((await wire.response()).json["body"]) == 1000

    stage.play(scenario)


@needs(Can.LIMIT_BODIES)
def test_response_to_a_refused_upload_is_not_lost(stage: Stage) -> None:
    """A client that is still sending a body that is too large can read the 413: the connection is not reset."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, max_body_size=1000) as server:
            wire = await server.connect()
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 4000000)
            refused = await wire.response()
            assert (refused.status, refused.header("content-type")) == (413, "application/json")
            assert "PREFECT_KERNEL_MAX_BODY_BYTES" in refused.json["detail"]
            assert await wire.closed()

    stage.play(scenario)


@needs(Can.STAY_WITH_HTTP1)
def test_other_upgrades_are_not_made(stage: Stage) -> None:
    """`Upgrade: h2c` is answered in HTTP/1.1, and the connection goes on in it."""

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo) as server:
            wire = await server.connect()
            wire.send(
                b"GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n" + GET
            )
            assert (await wire.response()).json["path"] == "/up"
            assert (await wire.response()).json["path"] == "/a"

    stage.play(scenario)


@needs(Can.STAY_WITH_HTTP1)
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_bodies_of_upgrades_that_are_not_made(stage: Stage, framing: bytes, step: int) -> None:
    """Java's client and `curl --http2` send a body with `Upgrade: h2c`: it is that request's, and others follow it."""
    head = b"POST /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"

    async def scenario(runner: ServerRunner) -> None:
        async with serving(runner, echo, max_body_size=5) as server:
            wire = await server.connect()
            sent = (head + framing) * 2 + GET
            for at in range(0, len(sent), step):
                wire.send(sent[at : at + step])
                await asyncio.sleep(0)
            for _ in range(2):
                seen = (await wire.response()).json
                assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/up", "hello")
            assert (await wire.response()).json["path"] == "/a"
            wire.send(head + framing.replace(b"5\r\n", b"6\r\n").replace(b"hello", b"hello!"))
            assert (await wire.response()).status == 413

    stage.play(scenario)


def test_slow_upload_is_slowed_down_not_buffered(stage: Stage) -> None:
    """While the application does not read, the server stops reading: the client cannot send a large body off."""
    size = 30_000_000

    async def scenario(runner: ServerRunner) -> None:
        go = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await go.wait()
            body = await read_body(receive)
            await reply(send, 200, str(len(body or b"")).encode())

        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            wire.send(b"z" * size)
            drained = asyncio.ensure_future(wire.writer.drain())
            done, _ = await asyncio.wait({drained}, timeout=0.5)
            assert not done
            go.set()
            await drained
            assert (await wire.response()).body == str(size).encode()

    stage.play(scenario)


def test_send_waits_for_a_slow_reader(stage: Stage) -> None:
    """The application cannot send far ahead of a client that does not read."""

    async def scenario(runner: ServerRunner) -> None:
        sent = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal sent
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(400):
                await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
                sent += 1
            await send({"type": "http.response.body"})

        async with serving(runner, app) as server:
            wire = await server.connect()
            wire.send(GET)
            await wire.reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.3)
            assert sent < 400
            wire.send(b"")
            rest = 0
            while not (chunk := await wire.reader.read(1 << 20)).endswith(b"0\r\n\r\n"):
                rest += len(chunk)
            assert sent == 400
            assert rest > 39_000_000

    stage.play(scenario)
