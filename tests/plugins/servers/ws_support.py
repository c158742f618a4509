"""A WebSocket client that sends exact frames, and reads what the server sends."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.plugins.servers.support import PATIENCE, Serving, Wire

OPENING = (
    b"GET /%b HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)
MASK = b"\x12\x34\x56\x78"
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes | str, *, fin: bool = True, mask: bytes | None = MASK, rsv: int = 0) -> bytes:
    """A frame as a client sends it; `mask=None` and `rsv` make bad ones."""
    data = payload.encode() if isinstance(payload, str) else payload
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    flag = 0x80 if mask is not None else 0
    if len(data) < 126:
        head = bytes((first, flag | len(data)))
    elif len(data) < 65536:
        head = bytes((first, flag | 126)) + len(data).to_bytes(2, "big")
    else:
        head = bytes((first, flag | 127)) + len(data).to_bytes(8, "big")
    if mask is None:
        return head + data
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    masked = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
    return head + mask + masked.to_bytes(len(data), "big")


def close_frame(code: int, reason: str = "") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


class Socket:
    """An open WebSocket, seen from the client."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def send(self, *frames: bytes) -> None:
        self.wire.send(b"".join(frames))

    async def read(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload; the server's frames are whole and not masked."""
        first, second = await self._exactly(2)
        assert first & 0x80
        assert not second & 0x80
        length = second
        if length >= 126:
            length = int.from_bytes(await self._exactly(2 if length == 126 else 8), "big")
        return first & 0x0F, await self._exactly(length)

    async def _exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self.wire.reader.readexactly(count), PATIENCE)

    async def text(self) -> str:
        """The next frame, which must be text."""
        opcode, payload = await self.read()
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    async def closed(self) -> tuple[int | None, str]:
        """Code and reason of the close frame, which must be next; after an answer the server closes the connection."""
        opcode, payload = await self.read()
        assert opcode == CLOSE, (opcode, payload)
        self.send(frame(CLOSE, payload))
        assert await self.wire.closed()
        return (int.from_bytes(payload[:2], "big"), payload[2:].decode()) if payload else (None, "")

    async def silent(self, seconds: float = 0.15) -> bool:
        """Whether the server sends nothing for a while."""
        reading = asyncio.ensure_future(self.wire.reader.read(1))
        done, _ = await asyncio.wait({reading}, timeout=seconds)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return not done


async def open_socket(server: Serving, path: str = "", *headers: bytes) -> Socket:
    """A WebSocket that the server has accepted."""
    wire = await server.connect()
    wire.send(OPENING % (path.encode(), b"".join(line + b"\r\n" for line in headers)))
    response = await wire.response()
    assert response.status == 101
    assert response.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3
    return Socket(wire)


class Recorder:
    """An application that keeps what it receives; `mode` says by which interface, `gate` holds it back."""

    def __init__(self, mode: str, *, open_gate: bool = True) -> None:
        self.mode = mode
        self.seen: list[Any] = []
        self.gate = asyncio.Event()
        if open_gate:
            self.gate.set()
        self.ended = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        extension = scope["extensions"]["prefect_kernel.websocket"]
        try:
            if self.mode == "many":
                await self._many(extension)
            else:
                await self._one_by_one(receive)
        finally:
            self.ended.set()

    async def _many(self, extension: Any) -> None:
        while True:
            await self.gate.wait()
            try:
                items = await extension["receive_many"]()
            except ConnectionError as end:
                self.seen.append(("end", getattr(end, "code", None), getattr(end, "reason", None)))
                return
            for item in items:
                if isinstance(item, str | bytes):
                    self.seen.append(item)
                else:
                    self.seen.append(("ping", item.payload))
                    await extension["pong"](item.payload)

    async def _one_by_one(self, receive: Any) -> None:
        while True:
            await self.gate.wait()
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.seen.append(("end", message["code"], message["reason"]))
                return
            self.seen.append(message["text"] if message.get("text") is not None else message["bytes"])
