"""Random traffic: HTTP compared with stock Hypercorn (h11), WebSocket frames compared with the `websockets` library."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from websockets.frames import Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from prefect_kernel.ports.server import Ping, ServeConfig, ServerRunner, open_sockets
from prefect_kernel_plugins.server_common.frames import FrameReader, Violation
from tests.plugins.servers.conftest import Stage
from tests.plugins.servers.support import PATIENCE, Response, Wire, echo, serving
from tests.plugins.servers.ws_support import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame


@asynccontextmanager
async def stock_hypercorn() -> AsyncIterator[int]:
    """Hypercorn as it comes, with the echoing application; gives its port."""
    sock = open_sockets(ServeConfig(port=0))[0]
    port: int = sock.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.errorlog = None
    config.h11_max_incomplete_size = 64 * 1024
    config.graceful_timeout = 0.1
    stop = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await echo(scope, receive, send)

    task = asyncio.ensure_future(serve(app, config, shutdown_trigger=stop.wait))
    try:
        yield port
    finally:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)


class Maker:
    """Makes requests that are correct HTTP/1.1, in every form that clients use."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, alphabet: str, most: int) -> bytes:
        return "".join(self.random.choices(alphabet, k=self.random.randint(1, most))).encode("latin-1")

    def request(self) -> bytes:
        pick = self.random
        method = pick.choice([b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"])
        target = (
            b"/" + self.text("abcXYZ019-._~!$&'()*+,;=:@/", 30) + pick.choice([b"", b"%20", b"%C3%A4", b"%2f", b"/"])
        )
        if pick.random() < 0.5:
            target += b"?" + self.text("abc=&?/%25+;:@", 20)
        headers = [(pick.choice([b"Host", b"host", b"HOST"]), b"h:1")]
        for _ in range(pick.randint(0, 8)):
            name = self.text("abcdefXYZ0123456789-_!#$%&'*+.^`|~", 12)
            value = self.text('abc XYZ,;="\t/()\xe4\xff', 40).strip()
            headers.append((b"x-" + name, value))
        body = bytes(pick.randbytes(pick.choice([0, 1, 7, 300, 5000, 70000])))
        framing = pick.choice(["none", "length", "chunked"])
        if framing == "length":
            headers.append((b"Content-Length", str(len(body)).encode()))
        elif framing == "chunked":
            headers.append((b"Transfer-Encoding", pick.choice([b"chunked", b"Chunked"])))
            body = self.chunked(body)
        else:
            body = b""
        first, *rest = headers
        pick.shuffle(rest)
        lines = [name + pick.choice([b":", b": ", b":  ", b":\t"]) + value for name, value in (first, *rest)]
        return b"\r\n".join([method + b" " + target + b" HTTP/1.1", *lines, b"", b""]) + body

    def chunked(self, body: bytes) -> bytes:
        parts = []
        at = 0
        while at < len(body):
            size = self.random.choice([1, 2, 16, 1000, 100000])
            chunk = body[at : at + size]
            at += size
            extension = self.random.choice([b"", b"", b";a=b"])
            parts.append(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk))
            if len(parts) > 60:
                size = len(body)
                parts.append(b"%x\r\n%b\r\n" % (len(body) - at, body[at:]) if at < len(body) else b"")
                break
        return b"".join(parts) + b"0\r\n" + self.random.choice([b"", b"", b"T: v\r\n"]) + b"\r\n"

    def cut(self, data: bytes) -> list[bytes]:
        """`data` in pieces."""
        cuts = sorted(self.random.randrange(len(data)) for _ in range(self.random.choice([0, 0, 1, 3, 10])))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]

    def mutate(self, data: bytes) -> bytes:
        """`data` with a few bytes changed, lost or added, mostly in the head."""
        changed = bytearray(data)
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randrange(min(len(changed), 300))
            what = self.random.random()
            new = self.random.choice(b'\0\r\n\t :;,/%\x7f\xff"AZ09-')
            if what < 0.4:
                changed[at] = new
            elif what < 0.7:
                del changed[at]
            else:
                changed.insert(at, new)
        return bytes(changed)


async def answers(port: int, pieces: list[bytes], count: int, patience: float = PATIENCE) -> list[Response]:
    """Send pieces; read responses, `count` at most, until the server closes or says nothing for a while."""
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
    found: list[Response] = []
    try:
        for piece in pieces:
            if wire.writer.is_closing():
                break
            wire.send(piece)
            if len(pieces) > 1:
                await asyncio.sleep(0.001)
        while len(found) < count:
            response = await asyncio.wait_for(wire.response(), patience)
            if response.status != 100:
                found.append(response)
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        pass
    finally:
        await wire.close()
    return found


def normal(seen: dict[str, Any]) -> dict[str, Any]:
    """What the application saw, without the case of `chunked`, which h11 changes."""
    for header in seen["headers"]:
        if header[0] == "transfer-encoding":
            header[1] = header[1].lower()
    return seen


def test_well_formed_requests(stage: Stage) -> None:
    """Correct requests, pipelined and cut at random, reach the application just as they do on stock Hypercorn."""

    async def scenario(runner: ServerRunner) -> None:
        make = Maker(20251121)
        async with stock_hypercorn() as reference, serving(runner, echo) as server:
            for _ in range(60):
                requests = [make.request() for _ in range(make.random.choice([1, 1, 2, 4]))]
                pieces = make.cut(b"".join(requests))
                ours, theirs = await asyncio.gather(
                    answers(server.port, pieces, len(requests)), answers(reference, pieces, len(requests))
                )
                assert len(ours) == len(requests)
                for our, their in zip(ours, theirs, strict=False):
                    assert our.status == their.status == 200
                    assert normal(our.json) == normal(their.json)

    stage.play(scenario)


def test_mutated_requests(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Broken requests are refused, or understood as stock Hypercorn does; none is an error of the server."""

    async def scenario(runner: ServerRunner) -> None:
        make = Maker(7)
        async with stock_hypercorn() as reference, serving(runner, echo) as server:
            for _ in range(150):
                pieces = make.cut(make.mutate(make.request()))
                ours, theirs = await asyncio.gather(
                    answers(server.port, pieces, 2, 0.1), answers(reference, pieces, 2, 0.1)
                )
                assert all(response.status in (200, 400, 408, 413, 426, 431, 501) for response in ours)
                if ours and theirs and ours[0].status == theirs[0].status == 200:
                    assert normal(ours[0].json) == normal(theirs[0].json)
        assert not caplog.records

    stage.play(scenario)


def drive_ours(pieces: list[bytes], limit: int) -> tuple[list[Any], int | None]:
    """Messages and close code as our reader sees them."""
    reader = FrameReader(limit, 5, 100)
    seen: list[Any] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while reader.waiting:
                seen += [("ping", item.payload) if isinstance(item, Ping) else item for item in reader.take()]
                reader.feed()
            if reader.close is not None:
                return seen, reader.close[0]
    except Violation as violation:
        seen += [("ping", item.payload) if isinstance(item, Ping) else item for item in reader.take()]
        return seen, violation.code
    return seen, None


def drive_theirs(pieces: list[bytes], limit: int) -> tuple[list[Any], int | None]:
    """Messages and close code as the `websockets` library sees them."""
    protocol = Protocol(SERVER, state=OPEN, max_size=limit)
    seen: list[Any] = []
    parts: list[bytes] = []
    text = False
    for piece in pieces:
        protocol.receive_data(piece)
        for event in protocol.events_received():
            data = bytes(event.data)  # type: ignore[union-attr]
            opcode = event.opcode  # type: ignore[union-attr]
            if opcode is Opcode.PING:
                seen.append(("ping", data))
            elif opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                if opcode is not Opcode.CONT:
                    text = opcode is Opcode.TEXT
                parts.append(data)
                if event.fin:  # type: ignore[union-attr]
                    whole, parts = b"".join(parts), []
                    if text:
                        try:
                            seen.append(whole.decode())
                        except UnicodeDecodeError:  # which the layer above checks there
                            return seen, 1007
                    else:
                        seen.append(whole)
        if protocol.close_sent is not None:
            return seen, int(protocol.close_sent.code)
    return seen, None


def random_frames(pick: random.Random) -> bytes:
    """A stream of frames, mostly correct."""
    stream = []
    fragmented = False
    for _ in range(pick.randint(1, 12)):
        opcode = pick.choice([TEXT, TEXT, TEXT, BINARY, CONT, PING, PONG, CLOSE if pick.random() < 0.2 else TEXT])
        fin = pick.random() < 0.8
        if opcode in (TEXT, BINARY, CONT) and pick.random() < 0.95:
            opcode = CONT if fragmented else opcode if opcode != CONT else TEXT
            fragmented = not fin
        if opcode >= CLOSE:
            fin = pick.random() < 0.99
            payload = pick.randbytes(pick.choice([0, 1, 5, 125, 126 if pick.random() < 0.2 else 3]))
            if opcode == CLOSE and pick.random() < 0.8:
                payload = pick.choice([b"", b"\x03\xe8", b"\x03\xe9bye", b"\x0f\xa0\xc3\xa4", b"\x03\xed", b"\x13\x88"])
        else:
            size = pick.choice([0, 1, 20, 125, 126, 127, 300, 65535 if pick.random() < 0.05 else 4])
            payload = pick.choice([b"x" * size, ("é" * (size // 2)).encode(), pick.randbytes(min(size, 4))])
        rsv = 4 if pick.random() < 0.005 else 0
        stream.append(
            frame(opcode, payload, fin=fin, mask=None if pick.random() < 0.005 else pick.randbytes(4), rsv=rsv)
        )
    data = bytearray(b"".join(stream))
    if pick.random() < 0.1:
        data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_frames(seed: int) -> None:
    """Random streams of frames, cut at random, give the same messages and close codes as the `websockets` library."""
    pick = random.Random(seed)
    outcomes: set[int | None] = set()
    for _ in range(1500):
        stream = random_frames(pick)
        cuts = sorted(pick.randrange(len(stream)) for _ in range(pick.choice([0, 1, 4, 20])))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]
        ours, theirs = drive_ours(pieces, 1000), drive_theirs(pieces, 1000)
        assert ours == theirs
        outcomes.add(ours[1])
    assert {None, 1000, 1002, 1007} <= outcomes
