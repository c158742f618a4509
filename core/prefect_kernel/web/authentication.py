"""Who a caller is: asked before requests and sockets are served, when plugins offer ways to find out."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from .. import errors
from .open_sockets import Opened, OpenSockets

if TYPE_CHECKING:
    from .group import Endpoint
    from .request import Request
    from .websocket import WebSocket

Permission = Literal["read", "run", "edit", "admin"]

_RANK = {"read": 0, "run": 1, "edit": 2, "admin": 3}

ROLES: dict[str, Permission] = {"viewer": "read", "runner": "run", "editor": "edit", "admin": "admin"}
"""What people in each role may do."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has shown who they are; found in `request.state["caller"]` and `socket.caller`."""

    name: str
    permission: str = "admin"
    """The most that they may do; each of `read`, `run`, `edit` and `admin` includes what comes before it."""
    way: str = ""
    """How they have shown it: the name of the authenticator that knows them."""
    until: datetime | None = None
    """When what they have shown ends; a WebSocket that is open then is closed."""

    def may(self, permission: str) -> bool:
        """Whether they may do what needs that permission."""
        return _RANK[permission] <= _RANK[self.permission]


@runtime_checkable
class Authenticator(Protocol):
    """A way to find out who a caller is. Where there is any, everybody has to be known by one of them.

    Two attributes may say more: `interactive`, that the web interface is to ask people for what lets them in (it sends
    it as basic authentication), and `ambient`, that browsers need to send nothing, as behind a proxy that knows them.

    Where callers can be shut out again, `async def still(kernel, opened)` says who they are now: for a list of pairs of
    a WebSocket and the token of its first message, a list of callers and None, in that order. It is asked every few
    seconds about all open sockets that it has let in; those of who is not known any more are closed.
    """

    name: str

    async def request(self, request: Request) -> Caller | None:
        """Who makes a request; None when it does not say so in this way, or wrongly."""

    async def socket(self, socket: WebSocket, token: str | None) -> Caller | None:
        """Who has opened a WebSocket; `token` is what the first message holds, as Prefect's clients send it."""


def credentials(header: str | None) -> tuple[str, str] | None:
    """What a header `Authorization` carries: (`bearer`, token), or (`basic`, the decoded text); None for nothing else.

    Prefect's clients send PREFECT_API_KEY in the first way, PREFECT_API_AUTH_STRING in the second.
    """
    parts = (header or "").split()
    if len(parts) != 2:
        return None
    scheme, value = parts[0].lower(), parts[1]
    if scheme == "bearer":
        return scheme, value
    if scheme != "basic":
        return None
    try:
        return scheme, base64.b64decode(value).decode()
    except ValueError:  # no base64, or no UTF-8
        return None


async def _answer(way: Authenticator, asked: Awaitable[Caller | None], seconds: float | None) -> Caller | None:
    """What an authenticator says; one of a third party's has `seconds` for it, and what is no answer lets nobody in."""
    if seconds is None:
        return await asked
    try:
        async with asyncio.timeout(seconds):
            caller: Any = await asked
    except (SystemExit, asyncio.CancelledError) as error:  # which would end the event loop, or this request's task
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        raise errors.KernelError(f"authenticator {way.name} raised {error!r}") from error
    named = isinstance(caller, Caller) and isinstance(getattr(caller, "name", None), str)
    if caller is not None and not (named and caller.permission in _RANK):
        said = f"authenticator {way.name} gave {caller!r}, and not a web.Caller with a name and a permission"
        raise errors.KernelError(said)
    found: Caller | None = caller
    return found


class Authentication:
    """All ways of one server, in load order."""

    def __init__(self, ways: Sequence[tuple[str, Authenticator]], trusted: Collection[str], seconds: float) -> None:
        """`ways` are (plugin, authenticator); those of plugins that are not trusted have `seconds` for an answer."""
        self._ways = [(way, None if plugin in trusted else seconds) for plugin, way in ways]
        self.interactive = any(getattr(way, "interactive", False) for _, way in ways)
        """Whether the login page of the web interface is of use."""
        self.open_sockets = OpenSockets()

    async def __call__(self, request: Request, endpoint: Endpoint | None) -> None:
        """Let a request pass, or raise Unauthorized or Forbidden; `endpoint` is None where there is no such route."""
        if endpoint is not None and endpoint.open_:
            return
        caller, _, _ = await self._known(request)
        request.state["caller"] = caller
        if endpoint is not None and not caller.may(endpoint.permission):
            raise errors.Forbidden(f"This needs the permission {endpoint.permission!r}, which {caller.name} lacks.")

    async def _known(self, request: Request) -> tuple[Caller, Authenticator, float | None]:
        for way, seconds in self._ways:
            caller = await _answer(way, way.request(request), seconds)
            if caller is not None:
                return caller, way, seconds
        raise errors.Unauthorized

    async def recognised(self, request: Request) -> bool:
        """Whether somebody is known without anything that they could send by themselves, as behind a proxy."""
        for way, seconds in self._ways:
            if getattr(way, "ambient", False) and await _answer(way, way.request(request), seconds) is not None:
                return True
        return False

    async def opening(self, socket: WebSocket, request: Request) -> None:
        """Know who opens a socket by the headers alone, or raise Unauthorized or Forbidden; otherwise as `socket`."""
        caller, way, seconds = await self._known(request)
        if not caller.may(socket.permission):
            raise errors.Forbidden(f"This needs the permission {socket.permission!r}, which {caller.name} lacks.")
        self.open_sockets.add(Opened(socket, None, way, seconds, caller))

    async def socket(self, socket: WebSocket, token: str | None) -> Caller | None:
        """Who has opened a socket; None when nobody knows them. While it is open, they are asked about again."""
        for way, seconds in self._ways:
            caller = await _answer(way, way.socket(socket, token), seconds)
            if caller is not None:
                self.open_sockets.add(Opened(socket, token, way, seconds, caller))
                return caller
        return None
