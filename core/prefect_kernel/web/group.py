"""Declaring endpoints: a group of routes with one prefix, read by the kernel at boot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from .reply import Reply
from .request import Request
from .validation import BodyReader, PathReader, QueryReader

Handler = Callable[..., Awaitable[Reply]]
Fallback = Callable[..., Awaitable[Reply | None]]
WebSocketHandler = Callable[..., Awaitable[None]]


PERMISSIONS = ("read", "run", "edit", "admin")
"""What an endpoint may need, each with all that comes before it."""


def _checked(permission: str | None, default: str) -> str:
    if permission is not None and permission not in PERMISSIONS:
        raise ValueError(f"{permission!r} is no permission; there are {', '.join(PERMISSIONS)}")
    return permission or default


@dataclass(eq=False, slots=True)
class Endpoint:
    """One HTTP operation, as declared; the same declaration serves requests and makes the OpenAPI document."""

    method: str
    path: str
    handler: Handler
    body: Any = None
    query: type[BaseModel] | None = None
    status: tuple[int, ...] = (200,)
    embed: bool = False
    response: Any = None
    media: str = "application/json"
    permission: str = "run"
    declared: bool = False
    """Whether the endpoint says itself which permission it needs, as all built-in ones do."""
    open_: bool = False
    versioned: bool = True
    group: str = ""
    plugin: str = ""
    read_path: PathReader | None = None
    read_body: BodyReader | None = None
    read_query: QueryReader | None = None

    def build(self) -> None:
        """Make the validators; done once, by the first kernel that serves the endpoint."""
        if self.body is not None and self.read_body is None:
            self.read_body = BodyReader(self.body, self.embed)
        if self.query is not None and self.read_query is None:
            self.read_query = QueryReader(self.query)


@dataclass(eq=False, slots=True)
class WebSocketEndpoint:
    """One WebSocket route."""

    path: str
    handler: WebSocketHandler
    group: str = ""
    plugin: str = ""
    permission: str = "run"
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """Middleware that is asked about every HTTP request before anything else, be there such a route or not.

    `check` returns nothing to let the request pass, or the answer, which is sent as it is: without the headers that
    other answers have. `opening`, where there is one, is asked about every WebSocket in the same way, with its scope,
    and says whether it may be opened.
    """

    check: Callable[[Request], Awaitable[Reply | None]]
    opening: Callable[[dict[str, Any]], Awaitable[bool]] | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """Middleware that is put around endpoints, once, at boot: who is not concerned pays nothing for it.

    `wrap` is called with each endpoint of a group and gives a handler to use in place of `endpoint.handler`, which it
    calls, or None to leave it as it is. A handler is called once the caller is known and the input is valid.
    """

    wrap: Callable[[Endpoint], Handler | None]


@dataclass(eq=False)
class Group:
    """Routes with one prefix below the API's base path.

    Paths hold parameters as `{name}` (one segment), `{name:uuid}` (an id; anything else is 404) or `{name:path}`
    (the rest). Handlers are `async def handler(request)`, or `handler(request, body)` where a body is declared.
    """

    name: str
    prefix: str = ""
    root: bool = False
    """True when the prefix is not below the API's base path."""
    endpoints: list[Endpoint] = field(default_factory=list)
    websockets: list[WebSocketEndpoint] = field(default_factory=list)
    fallback: Fallback | None = None
    """Answers what is neither a route nor below the API's base path, such as the pages of a UI; one per server."""

    def otherwise(self, handler: Fallback) -> Fallback:
        """Declare the fallback: `async def handler(request)`, which gives a reply with all its headers, or None."""
        self.fallback = handler
        return handler

    def route(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: type[BaseModel] | None = None,
        status: int | tuple[int, ...] = 200,
        embed: bool = False,
        response: Any = None,
        media: str = "application/json",
        path_parameter: PathReader | None = None,
        permission: str | None = None,
        open_: bool = False,
        versioned: bool = True,
    ) -> Callable[[Handler], Handler]:
        """Declare an operation.

        `body` is the type of the request's body (any type pydantic understands, or a `Later`); with `embed` it is a
        model whose fields are FastAPI-style body parameters. `status` lists the success codes, the usual one first.
        `response` is a schema or type for the OpenAPI document, `media` the type of media of an answer that is not
        JSON. `path_parameter` is a parameter of the path whose faults are told together with those of the body; the
        handler calls it for the value.
        `permission` is `read`, `run`, `edit` or `admin`; by default GET needs `read`, and everything else `run`.
        `open_` endpoints need no credentials. Clients of an API version that the server does not understand are
        refused, unless `versioned` is false.
        """

        def declare(handler: Handler) -> Handler:
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=self.prefix + path,
                    handler=handler,
                    body=body,
                    query=query,
                    status=(status,) if isinstance(status, int) else status,
                    embed=embed,
                    response=response,
                    media=media,
                    read_path=path_parameter,
                    permission=_checked(permission, "read" if method == "GET" else "run"),
                    declared=permission is not None,
                    open_=open_,
                    versioned=versioned,
                    group=self.name,
                )
            )
            return handler

        return declare

    def get(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self.route("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self.route("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self.route("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self.route("DELETE", path, **options)

    def websocket(self, path: str, *, permission: str | None = None) -> Callable[[WebSocketHandler], WebSocketHandler]:
        """Declare a WebSocket route: `async def handler(socket: web.WebSocket)`.

        The handler begins with `socket.handshake()`, which looks at credentials and `permission` (`run` by default).
        """

        def declare(handler: WebSocketHandler) -> WebSocketHandler:
            endpoint = WebSocketEndpoint(self.prefix + path, handler, self.name)
            endpoint.permission, endpoint.declared = _checked(permission, "run"), permission is not None
            self.websockets.append(endpoint)
            return handler

        return declare
