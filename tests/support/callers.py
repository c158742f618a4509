"""Asking a kernel in somebody's name: credentials, every route there is, and the first words on WebSockets."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import Any

from prefect_kernel.app import Kernel
from prefect_kernel.testing import KernelUnderTest

ID = "11111111-1111-4111-8111-111111111111"


def basic(text: str) -> str:
    """The header that curl would send."""
    return "Basic " + base64.b64encode(text.encode()).decode()


def routes(kernel: Kernel) -> list[tuple[str, str, bool]]:
    """(method, path, whether it is open) of every route, with values for parameters."""
    found = []
    for group in kernel.groups:
        base = "" if group.root else kernel.api
        for endpoint in group.endpoints:
            path = re.sub(r"\{\w+:uuid\}", ID, base + endpoint.path)
            found.append((endpoint.method, re.sub(r"\{\w+(:\w+)?\}", "x", path), endpoint.open_))
    return found


def talk(
    kernel: KernelUnderTest,
    path: str,
    *frames: str,
    prefect: bool = True,
    client: str = "127.0.0.1",
    stays: bool = False,
    **headers: str,
) -> list[Any]:
    """What a WebSocket is told; the client leaves at the end, unless it `stays`."""
    told: list[Any] = []

    async def run() -> None:
        scope = {
            "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "scheme": "ws",
            "root_path": "", "http_version": "1.1", "client": (client, 1), "server": ("testserver", 80),
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in {"host": "x", **headers}.items()],
            "subprotocols": ["prefect"] if prefect else [], "extensions": {},
        }  # fmt: skip
        waiting: list[dict[str, Any]] = [{"type": "websocket.connect"}]
        waiting += [{"type": "websocket.receive", "text": frame} for frame in frames]
        gone: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if not stays:
            waiting.append({"type": "websocket.disconnect", "code": 1000})

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else await gone

        async def send(message: dict[str, Any]) -> None:
            kind = message["type"].removeprefix("websocket.")
            told.append(message["text"] if kind == "send" else (kind, message.get("reason")))
            if kind == "close" and not gone.done():
                gone.set_result({"type": "websocket.disconnect", "code": 1000})

        async with asyncio.timeout(10):
            await kernel.kernel(scope, receive, send)

    kernel.run(run())
    return told


ACCEPTED = ("accept", None)
SUCCESS = '{"type":"auth_success"}'


def auth(token: Any) -> str:
    """The first message of Prefect's clients."""
    return json.dumps({"type": "auth", "token": token})


def ask(
    kernel: KernelUnderTest,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    *,
    client: str | None = "127.0.0.1",
    body: bytes = b"",
    repeated: tuple[tuple[str, str], ...] = (),
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to a request from an address."""
    sent: list[dict[str, Any]] = []
    given = {"host": "testserver", "content-type": "application/json", **(headers or {})}
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "scheme": "http", "root_path": "", "http_version": "1.1", "server": ("testserver", 80), "extensions": {},
        "client": None if client is None else (client, 40_000),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (*given.items(), *repeated)],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    kernel.run(kernel.kernel(scope, receive, send))
    found = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:])
