"""Middleware that is put around endpoints, and gates before WebSockets, of plugins."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel import hookimpl, web
from prefect_kernel.testing import MakeKernel
from tests.support.callers import talk


class Stamp:
    """A plugin that puts a header on what changes something, and keeps sockets without one shut."""

    def __init__(self, wrap: Any = None) -> None:
        self.seen: list[str] = []
        self.wrap = wrap or self.stamped

    def stamped(self, endpoint: web.Endpoint) -> Any:
        """Wrap what needs `edit`."""
        if endpoint.permission != "edit":
            return None

        async def handler(request: web.Request, *body: Any) -> web.Reply:
            self.seen.append(endpoint.path)
            reply = await endpoint.handler(request, *body)
            reply.headers.append((b"x-stamp", b"yes"))
            return reply

        return handler

    async def check(self, request: web.Request) -> None:
        """Let everything pass."""

    async def opening(self, scope: dict[str, Any]) -> bool:
        """Want a header."""
        headers = dict(scope["headers"])
        if headers.get(b"x-stamp") == b"broken":
            raise RuntimeError("no such luck")
        return b"x-stamp" in headers

    @hookimpl
    def kernel_middleware(self, settings: Any) -> list[Any]:
        return [web.Around(self.wrap), web.Gate(self.check, self.opening)]


def test_around(make_kernel: MakeKernel) -> None:
    """What is wrapped is called so, with its body; a second kernel knows nothing of it."""
    plugin = Stamp()
    kernel, other = make_kernel(plugin), make_kernel()
    body = {"name": "x", "value": 1}
    made = kernel.client.post("/variables/", json=body)
    assert (made.status, made.headers["x-stamp"]) == (201, "yes")
    assert kernel.client.post("/variables/", json={"name": "x"}).status == 422
    assert "x-stamp" not in kernel.client.get("/variables/name/x").headers
    assert plugin.seen == ["/variables/"], "input was valid before"
    assert "x-stamp" not in other.client.post("/variables/", json=body).headers


def test_around_that_fails(make_kernel: MakeKernel) -> None:
    """What a third party's wrapper returns is looked at like any other answer."""

    def wrap(endpoint: web.Endpoint) -> Any:
        async def handler(*_: Any) -> Any:
            return "no reply"

        return handler if endpoint.path == "/hello" else None

    kernel = make_kernel(Stamp(wrap))
    assert kernel.client.get("/hello").status == 500
    assert kernel.client.get("/version").status == 200


@pytest.mark.parametrize(("stamp", "opens"), [("yes", True), (None, False), ("broken", False)])
def test_gates_before_sockets(make_kernel: MakeKernel, stamp: str | None, opens: bool) -> None:
    """A socket is opened when every gate lets it; one that fails does not."""
    kernel = make_kernel(Stamp())
    headers: dict[str, Any] = {} if stamp is None else {"x_stamp": stamp}
    assert (talk(kernel, "/api/events/out", **headers)[0][0] == "accept") is opens
