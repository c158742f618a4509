"""What an endpoint is given: the kernel, and the request's parts, read when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from .. import errors

if TYPE_CHECKING:
    from ..app import Kernel


class Request:
    """One HTTP request."""

    __slots__ = ("_headers", "_receive", "content", "kernel", "path", "query", "scope", "state")

    def __init__(self, kernel: Kernel, scope: dict[str, Any], receive: Any, path: dict[str, str]) -> None:
        self.kernel, self.scope, self._receive = kernel, scope, receive
        self.path = path
        """The path's parameters: ids in canonical form, names percent-decoded."""
        self.query: Any = None
        """The validated query parameters, for endpoints that declare a model of them."""
        self.content: bytes = b""
        """The body's bytes, once they were read."""
        self.state: dict[str, Any] = {}
        """Room for middleware, such as who the caller is."""
        self._headers: dict[bytes, bytes] | None = None

    def header(self, name: str) -> str | None:
        """The header of that lower-case name; the first one, where it was sent twice, as for the reference."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"][::-1])
        value = self._headers.get(name.encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    def require(self, permission: str) -> None:
        """Raise Forbidden unless the caller has that permission; for what only some requests to an endpoint need."""
        caller = self.state.get("caller")
        if caller is not None and not caller.may(permission):
            raise errors.Forbidden(f"This needs the permission {permission!r}, which {caller.name} lacks.")

    @property
    def args(self) -> list[tuple[str, str]]:
        """The query string's pairs."""
        return parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)

    @property
    def base_url(self) -> str:
        """Scheme, host and root of the server as the client sees them, with a slash at the end."""
        host = self.header("host")
        if host is None:
            server = self.scope.get("server") or ("localhost", None)
            host = f"{server[0]}:{server[1]}" if server[1] else server[0]
        return f"{self.scope.get('scheme', 'http')}://{host}{self.scope.get('root_path', '')}/"

    async def read(self, limit: int) -> bytes:
        """Read the whole body; raises PayloadTooLarge beyond `limit` bytes, BadRequest when the client went away."""
        message = await self._next()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            parts, size = [body], len(body)
            while message.get("more_body"):
                message = await self._next()
                size += len(message.get("body", b""))
                if size > limit:
                    raise errors.PayloadTooLarge(f"The request body is larger than {limit} bytes.")
                parts.append(message.get("body", b""))
            body = b"".join(parts)
        elif len(body) > limit:
            raise errors.PayloadTooLarge(f"The request body is larger than {limit} bytes.")
        self.content = body
        return body

    async def _next(self) -> dict[str, Any]:
        """The next piece of the body. A client that dies after its headers has sent no empty body, but none at all."""
        message: dict[str, Any] = await self._receive()
        if message["type"] == "http.disconnect":
            raise errors.BadRequest("The client went away before the end of the body.")
        return message
