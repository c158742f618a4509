"""From an ASGI call to an endpoint and back: the path that every API request takes."""

from __future__ import annotations

import logging
import zlib
from typing import TYPE_CHECKING, Any

from .. import errors
from .group import Endpoint, WebSocketEndpoint
from .reply import JSON_TYPE, Reply, dumps
from .request import Request
from .table import Table
from .websocket import Disconnected, WebSocket

if TYPE_CHECKING:
    from ..app import Kernel

log = logging.getLogger("prefect_kernel.web")

VARY = (b"vary", b"Origin")
ANY_ORIGIN = (b"access-control-allow-origin", b"*")
GZIP_FLOOR = 500
"""Bodies below this many bytes are not compressed (the reference's limit)."""

DATA_CONFLICT = (
    "Data integrity conflict. This usually means a unique or foreign key constraint was violated."
    " See server logs for details."
)


def gzip(body: bytes) -> bytes:
    """A gzip stream; level 1, since an API answer is read once and the faster levels save most of the size."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def reply_to_error(error: Exception, where: str) -> Reply:
    """The answer for an exception that an endpoint raised."""
    if isinstance(error, errors.StorageUnavailable):
        log.warning("%s: database unavailable: %s", where, error)
        error = errors.Unavailable()
    elif isinstance(error, errors.Raced):
        error = errors.Unavailable()
    elif isinstance(error, errors.UniqueViolation | errors.IntegrityViolation):
        log.info("%s: %s", where, error)
        error = errors.Conflict(DATA_CONFLICT)
    elif isinstance(error, errors.InvalidValue):
        error = errors.Unprocessable(f"A value cannot be stored: {error}")
    if isinstance(error, errors.HttpError):
        return Reply(error.status, dumps(_jsonable(error.body())), [JSON_TYPE, *error.headers])
    log.error("%s failed", where, exc_info=error)
    return Reply(500, b'{"exception_message":"Internal Server Error"}', [JSON_TYPE])


def _jsonable(value: Any) -> Any:
    """Make an error body encodable: what came in as NaN, bytes or a huge integer goes out as text or null."""
    try:
        dumps(value)
        return value
    except TypeError:
        pass
    if isinstance(value, dict):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(v) for v in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class Dispatcher:
    """Looks requests up in the fast table and answers them; gives None for what is not in it."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.endpoints: Table[Endpoint] = Table()
        self.websockets: Table[WebSocketEndpoint] = Table()
        self.max_body = kernel.settings.kernel.max_body_bytes

    async def http(self, scope: dict[str, Any], receive: Any, send: Any) -> bool:
        """Answer an HTTP request; False when the table does not know its path."""
        path: str = scope["path"]
        found = self.endpoints.match(path)
        if found is None:
            location = self._with_other_slash(path)
            if location is None:
                return False
            query = scope["query_string"].decode("latin-1")
            target = Request(self.kernel, scope, receive, {}).base_url + location.lstrip("/")
            reply = Reply(307, b"", [(b"location", (target + (f"?{query}" if query else "")).encode())])
            await self._send(reply, scope, send)
            return True
        by_method, parameters = found
        endpoint = by_method.get(scope["method"])
        if endpoint is None:
            reply = self._other_method(by_method, scope)
        else:
            reply = await self._answer(endpoint, Request(self.kernel, scope, receive, parameters))
        await self._send(reply, scope, send)
        return True

    async def _answer(self, endpoint: Endpoint, request: Request) -> Reply:
        try:
            check = self.kernel.check_request
            if check is not None:
                await check(request, endpoint)
            if endpoint.read_query is not None:
                request.query = endpoint.read_query(request.args)
            if endpoint.read_body is None:
                return await endpoint.handler(request)
            content = await request.read(self.max_body)
            body = endpoint.read_body(content, request.header("content-type"))
            _check_api_version(request)
            return await endpoint.handler(request, body)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer, unknown ones are logged there
            return reply_to_error(error, f"{endpoint.method} {endpoint.path}")

    def _other_method(self, by_method: dict[str, Endpoint], scope: dict[str, Any]) -> Reply:
        if scope["method"] == "OPTIONS" and any(k == b"access-control-request-method" for k, _ in scope["headers"]):
            return self.kernel.cors.preflight(scope)
        allow = next(iter(by_method))
        return Reply(405, b'{"detail":"Method Not Allowed"}', [JSON_TYPE, (b"allow", allow.encode())])

    def _with_other_slash(self, path: str) -> str | None:
        """The same path with or without its last slash, when that is a route."""
        if path == "/":
            return None
        other = path.rstrip("/") if path.endswith("/") else path + "/"
        return other if self.endpoints.match(other) is not None else None

    async def _send(self, reply: Reply, scope: dict[str, Any], send: Any) -> None:
        headers, body = reply.headers, reply.body
        headers.append(VARY)
        compress = False
        for name, value in scope["headers"]:
            if name == b"origin":
                headers.append(ANY_ORIGIN)
            elif name == b"accept-encoding" and len(body) >= GZIP_FLOOR and b"gzip" in value:
                compress = True
        if compress:
            body = gzip(body)
            headers.append((b"content-encoding", b"gzip"))
            headers.append((b"vary", b"Accept-Encoding"))
        if reply.status != 204:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def websocket(self, scope: dict[str, Any], receive: Any, send: Any) -> bool:
        """Serve a WebSocket; False when the table does not know its path."""
        found = self.websockets.match(scope["path"])
        if found is None:
            return False
        endpoint, parameters = found[0]["WS"], found[1]
        socket = WebSocket(self.kernel, scope, receive, send, parameters)
        try:
            await endpoint.handler(socket)
        except Disconnected:
            pass
        except Exception:
            log.exception("WebSocket %s failed", endpoint.path)
            await socket.close(1011, "Internal Server Error")
        return True


MIN_API_VERSION = (0, 8, 0)
_known_versions: set[bytes] = {b"0.8.4"}


def _check_api_version(request: Request) -> None:
    """Refuse clients whose API version is older than the server understands (reference: orchestration §8)."""
    for name, value in request.scope["headers"]:
        if name == b"x-prefect-api-version" and value not in _known_versions:
            text = value.decode("latin-1")
            try:
                major, minor, patch = (int(part) for part in text.split("."))
            except ValueError:
                raise errors.BadRequest(
                    f"Invalid X-PREFECT-API-VERSION header format.Expected header in format 'x.y.z' but received {text}"
                ) from None
            if (major, minor, patch) < MIN_API_VERSION:
                raise errors.BadRequest(
                    f"The request specified API version {text} but this server requires version 0.8.0 or higher."
                )
