"""A server on a free port for the length of a `with`, a raw-ASGI application, and clients that send exact bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from prefect_kernel.ports.server import ASGIApp, ServeConfig, ServerRunner

PATIENCE = 10.0
"""Seconds after which a test gives up on something that must happen."""


async def read_body(receive: Callable[[], Any]) -> bytes | None:
    """The whole body of a request; None when the client went away before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def reply(send: Callable[[Any], Any], status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """Answer with a content-length."""
    lines = [(b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers what was asked: method, path, query, headers and body."""
    body = await read_body(receive)
    if body is None:
        return
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "version": scope["http_version"],
        "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    await reply(send, 200, json.dumps(seen).encode(), (b"content-type", b"application/json"))


class Serving:
    """A running server."""

    def __init__(self, host: str, port: int, stop: asyncio.Event, task: asyncio.Task[None]) -> None:
        self.host, self.port, self.stop, self.task = host, port, stop, task
        self._wires: list[Wire] = []

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    async def connect(self) -> Wire:
        """A new connection, closed at the end of `serving`."""
        self._wires.append(Wire(*await asyncio.open_connection(self.host, self.port)))
        return self._wires[-1]

    async def close_wires(self) -> None:
        for wire in self._wires:
            await wire.close()

    async def ended(self) -> None:
        """Wait until the server has returned."""
        await asyncio.wait_for(self.task, PATIENCE)


@asynccontextmanager
async def serving(runner: ServerRunner, app: ASGIApp, **config: Any) -> AsyncIterator[Serving]:
    """Serve `app` on a free port; stops the server at the end."""
    loop = asyncio.get_running_loop()
    listening: asyncio.Future[Any] = loop.create_future()
    stop = asyncio.Event()
    settings = ServeConfig(**{"port": 0, "graceful_timeout": 2.0, **config})
    task = loop.create_task(runner.serve(app, settings, listening.set_result, stop))
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    address = listening.result()[0]
    server = Serving(address.host, address.port, stop, task)
    try:
        yield server
    finally:
        await server.close_wires()
        stop.set()
        await asyncio.wait_for(task, PATIENCE)


class Response:
    """A parsed HTTP response."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def header(self, name: str) -> str | None:
        """The value of a header; None when it is not there; its values joined when there are several."""
        values = [value for key, value in self.headers if key.lower() == name]
        return ", ".join(values) if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A client connection that sends exactly the bytes it is told to, and reads responses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def end(self) -> None:
        """Send no more, and read on."""
        self.writer.write_eof()

    async def response(self, head: bool = False) -> Response:
        """The next response; `head`: to a HEAD request."""
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        first, *lines = raw[:-4].split(b"\r\n")
        status = int(first.split(b" ")[1])
        headers = []
        for line in lines:
            name, _, value = line.partition(b":")
            headers.append((name.decode(), value.strip().decode("latin-1")))
        found = Response(status, headers, b"")
        if head or status in (101, 100, 204, 304):
            return found
        if (found.header("transfer-encoding") or "").lower() == "chunked":
            found.body = await self._chunks()
        elif (length := found.header("content-length")) is not None:
            found.body = await asyncio.wait_for(self.reader.readexactly(int(length)), PATIENCE)
        else:
            found.body = await self.rest()
        return found

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(await asyncio.wait_for(self.reader.readline(), PATIENCE), 16)
            chunk = await asyncio.wait_for(self.reader.readexactly(size + 2), PATIENCE)
            assert chunk.endswith(b"\r\n")
            if not size:
                return body
            body += chunk[:-2]

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE)

    async def closed(self) -> bool:
        """Wait for the server to close; False when it sends something instead."""
        return await self.rest() == b""

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass  # the server may have reset it first, which is what some tests provoke
