"""Who a caller is: asked before requests and sockets are served, when plugins offer ways to find out."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from .. import errors

if TYPE_CHECKING:
    from .group import Endpoint
    from .request import Request
    from .websocket import WebSocket

Permission = Literal["read", "run", "edit", "admin"]

_RANK = {"read": 0, "run": 1, "edit": 2, "admin": 3}


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has shown who they are; found in `request.state["caller"]` and `socket.caller`."""

    name: str
    permission: str = "admin"
    """The most that they may do; each of `read`, `run`, `edit` and `admin` includes what comes before it."""

    def may(self, permission: str) -> bool:
        """Whether they may do what needs that permission."""
        return _RANK[permission] <= _RANK[self.permission]


@runtime_checkable
class Authenticator(Protocol):
    """A way to find out who a caller is. Where there is any, everybody has to be known by one of them."""

    name: str

    async def request(self, request: Request) -> Caller | None:
        """Who makes a request; None when it does not say so in this way, or wrongly."""

    async def socket(self, socket: WebSocket, token: str | None) -> Caller | None:
        """Who has opened a WebSocket; `token` is what the first message holds, as Prefect's clients send it."""


class Authentication:
    """All ways of one server, in load order."""

    def __init__(self, ways: Sequence[tuple[str, Authenticator]], trusted: Collection[str], seconds: float) -> None:
        """`ways` are (plugin, authenticator); those of plugins that are not trusted have `seconds` for an answer."""
        self._ways = [(way, None if plugin in trusted else seconds) for plugin, way in ways]

    async def __call__(self, request: Request, endpoint: Endpoint | None) -> None:
        """Let a request pass, or raise Unauthorized or Forbidden; `endpoint` is None where there is no such route."""
        if endpoint is not None and endpoint.open_:
            return
        for way, seconds in self._ways:
            async with asyncio.timeout(seconds):
                caller = await way.request(request)
            if caller is not None:
                break
        else:
            raise errors.Unauthorized
        request.state["caller"] = caller
        if endpoint is not None and not caller.may(endpoint.permission):
            raise errors.Forbidden(f"This needs the permission {endpoint.permission!r}, which {caller.name} lacks.")

    async def socket(self, socket: WebSocket, token: str | None) -> Caller | None:
        """Who has opened a socket; None when nobody knows them."""
        for way, seconds in self._ways:
            async with asyncio.timeout(seconds):
                caller = await way.socket(socket, token)
            if caller is not None:
                return caller
        return None
