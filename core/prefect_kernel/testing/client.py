"""Requests to a kernel without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from ..app import Kernel
from .loop import LoopThread


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; of several headers of one name, the last."""
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Client:
    """Makes requests; paths are below the API's base path, unless they are full URLs' paths given with `absolute`."""

    def __init__(self, kernel: Kernel, loop: LoopThread) -> None:
        self._kernel, self._loop = kernel, loop

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        absolute: bool = False,
    ) -> Answer:
        """Make a request and wait for its answer. `json` that is bytes is sent as it is."""
        target = path if absolute else self._kernel.api + path
        return self._loop.run(_ask(self._kernel, method, target, json, params or {}, headers or {}))

    async def ask(
        self, method: str, path: str, *, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make a request from within the kernel's event loop (`kernel.run`)."""
        return await _ask(self._kernel, method, self._kernel.api + path, json, {}, headers or {})

    def together(self, count: int, method: str, path: str, *, json: Any = None) -> list[Answer]:
        """Make the same request many times at once."""

        async def race() -> list[Answer]:
            return await asyncio.gather(*(self.ask(method, path, json=json) for _ in range(count)))

        return self._loop.run(race())

    def get(self, path: str, **options: Any) -> Answer:
        """Make a GET request."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Answer:
        """Make a POST request."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Answer:
        """Make a PUT request."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Answer:
        """Make a PATCH request."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        """Make a DELETE request."""
        return self.request("DELETE", path, **options)


async def _ask(
    kernel: Kernel, method: str, path: str, body: Any, params: Mapping[str, Any], given: Mapping[str, str]
) -> Answer:
    headers = {name.lower(): value for name, value in given.items()}
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body, default=str).encode()
    if body is not None:
        headers.setdefault("content-type", "application/json")
    headers.setdefault("host", "testserver")
    headers["content-length"] = str(len(content))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": urlencode(params, doseq=True).encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "extensions": {},
    }
    requests = [{"type": "http.request", "body": content, "more_body": False}]
    events: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if requests:
            return requests.pop()
        await asyncio.Event().wait()  # the client never goes away
        raise AssertionError("unreachable")

    async def send(event: dict[str, Any]) -> None:
        events.append(event)

    await kernel(scope, receive, send)
    start = events[0]
    received = b"".join(event.get("body", b"") for event in events[1:])
    named = {bytes(name).decode().lower(): bytes(value).decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], named, received)
