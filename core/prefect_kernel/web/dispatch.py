"""From an ASGI call to an endpoint and back: the path that every API request takes."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .. import errors
from .authentication import Authentication
from .cors import VARY
from .group import Endpoint, Fallback, Gate, WebSocketEndpoint
from .reply import JSON_TYPE, Reply, Stream, dumps
from .request import Request
from .table import Table
from .unknown import UnknownFields
from .validation import check_depth
from .websocket import Disconnected, WebSocket

if TYPE_CHECKING:
    from ..app import Kernel

log = logging.getLogger("prefect_kernel.web")

Observer = Callable[[str, str, int, float], None]

_VARY_SIZED = (b"vary", b"Accept-Encoding, Origin")
_PLAIN_IN_URLS = ":/%#?=@[]!$&'()*+,;"
_NOT_FOUND = b'{"detail":"Not Found"}'
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
    elif isinstance(error, RecursionError):  # the body is nested too deeply for some parser or writer of JSON
        error = errors.BadRequest("There was an error parsing the body")
    if isinstance(error, errors.HttpError):
        return Reply(error.status, _body(error), [JSON_TYPE, *error.headers])
    log.error("%s failed", where, exc_info=error)
    return Reply(500, b'{"exception_message":"Internal Server Error"}', [JSON_TYPE])


def _body(error: errors.HttpError) -> bytes:
    try:
        return dumps(error.body())
    except RecursionError:  # what was sent is nested too deeply to be shown
        return dumps({"exception_message": error.message})


async def _transmit(status: int, headers: list[tuple[bytes, bytes]], body: bytes, send: Any) -> None:
    if status not in (204, 304):
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(reply: Stream, packed: bool, send: Any) -> None:
    """Send an answer piece by piece. When it cannot be finished the connection breaks, so that clients notice."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31) if packed else None
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    async for chunk in reply.chunks:
        body = chunk if packer is None else packer.compress(chunk)
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if packer is None else packer.flush()})


class Dispatcher:
    """Looks requests up in the fast table and answers them; gives None for what is not in it."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.endpoints: Table[Endpoint] = Table()
        self.websockets: Table[WebSocketEndpoint] = Table()
        self.authentication: Authentication | None = None
        self.gates: Sequence[Gate] = ()
        self.observe: Observer | None = None
        """Told method, route (empty where there is none), status and seconds of each request, while it is set."""
        self.fallback: Fallback | None = None
        """Answers what is neither in the table nor below the API's base path."""
        self._below_api = kernel.api + "/"
        self.max_body = kernel.settings.kernel.max_body_bytes
        self.max_depth = kernel.settings.kernel.max_json_depth
        self.unknown_fields = UnknownFields() if kernel.settings.kernel.ignore_unknown_fields else None
        """Where clients may be newer than the server: leaves out what it does not know."""

    async def http(self, scope: dict[str, Any], receive: Any, send: Any) -> bool:
        """Answer an HTTP request; False when the table does not know its path."""
        if self.observe is not None:
            return await self._observed(self.observe, scope, receive, send)
        return await self._http(scope, receive, send)

    async def _http(self, scope: dict[str, Any], receive: Any, send: Any) -> bool:
        reply: Reply | None
        for gate in self.gates:
            reply = await self._at_gate(gate, Request(self.kernel, scope, receive, {}))
            if reply is not None:
                await _transmit(reply.status, reply.headers, reply.body, send)
                return True
        if scope["method"] == "OPTIONS" and (preflight := self.kernel.cors.preflight(scope)) is not None:
            await _transmit(preflight.status, preflight.headers, preflight.body, send)
            return True
        found = self.endpoints.match(scope["path"])
        if found is not None and scope["method"] not in found[0]:
            # A template that fits less well may have the method: a thing may be named like a route.
            found = next((one for one in self.endpoints.matches(scope["path"]) if scope["method"] in one[0]), found)
        endpoint = None if found is None else found[0].get(scope["method"])
        if endpoint is not None and found is not None:
            reply = await self._answer(endpoint, Request(self.kernel, scope, receive, found[1]))
        elif (reply := await self._stranger(scope, receive)) is not None:
            pass
        elif found is not None:
            reply = self._other_method(scope["path"])
        else:
            reply = self._redirect(scope, receive)
            if reply is None:
                if self.fallback is not None and await self._outside(self.fallback, scope, receive, send):
                    return True
                if self.kernel.blueprints:
                    return False
                reply = Reply(404, _NOT_FOUND, [JSON_TYPE])
        await self.send(reply, scope, send)
        return True

    async def _answer(self, endpoint: Endpoint, request: Request) -> Reply:
        try:
            if self.authentication is not None:
                await self.authentication(request, endpoint)
            check = self.kernel.check_request
            if check is not None:
                await check(request, endpoint)
            read = endpoint.read_body
            value = None
            if read is not None:
                content = await request.read(self.max_body)
                if self.max_depth:
                    check_depth(content, self.max_depth)
                value = read.parse(content, request.header("content-type"))
            if endpoint.versioned:
                _check_api_version(request)
            if endpoint.read_query is not None:
                request.query = endpoint.read_query(request.args)
            if read is None:
                return await endpoint.handler(request)
            try:
                body = read.validate(value)
            except errors.InvalidRequest as error:
                read.check_first(request, value)
                if endpoint.read_path is not None:
                    error.errors[:0] = endpoint.read_path.problems(request.path)
                if self.unknown_fields is None:
                    raise
                body = self.unknown_fields.validate(endpoint, read, value, error)
            return await endpoint.handler(request, body)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer, unknown ones are logged there
            return reply_to_error(error, f"{endpoint.method} {endpoint.path} (plugin {endpoint.plugin})")

    async def _outside(self, fallback: Fallback, scope: dict[str, Any], receive: Any, send: Any) -> bool:
        """Let the fallback answer, when the path is its to answer; its headers are sent as they are."""
        if scope["path"].startswith(self._below_api):
            return False
        request = Request(self.kernel, scope, receive, {})
        try:
            reply = await fallback(request)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer
            reply = reply_to_error(error, f"{scope['method']} outside of {self.kernel.api}")
        if reply is None:
            return False
        origin = request.header("origin")
        if origin is not None:
            reply.headers += self.kernel.cors.headers_for(origin.encode("latin-1"))
        await _transmit(reply.status, reply.headers, reply.body, send)
        return True

    async def _stranger(self, scope: dict[str, Any], receive: Any) -> Reply | None:
        """The refusal of somebody who asks for what is no route of the API, and has not said who they are."""
        if self.authentication is None or not scope["path"].startswith(self._below_api):
            return None
        try:
            await self.authentication(Request(self.kernel, scope, receive, {}), None)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer
            return reply_to_error(error, "Authentication")
        return None

    async def _at_gate(self, gate: Gate, request: Request) -> Reply | None:
        try:
            return await gate.check(request)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer
            return reply_to_error(error, "A gate")

    async def _opens(self, opening: Callable[[dict[str, Any]], Awaitable[bool]], scope: dict[str, Any]) -> bool:
        try:
            return await opening(scope)
        except Exception:
            log.exception("A gate failed")
            return False

    async def _observed(self, observe: Observer, scope: dict[str, Any], receive: Any, send: Any) -> bool:
        """Answer a request, and tell the observer of it."""
        status = 0

        async def watched(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = perf_counter()
        answered = await self._http(scope, receive, watched)
        if answered:
            found = self.endpoints.match(scope["path"])
            endpoint = None if found is None else found[0].get(scope["method"])
            observe(scope["method"], "" if endpoint is None else endpoint.path, status, perf_counter() - began)
        return answered

    def _other_method(self, path: str) -> Reply:
        allow = self.endpoints.first_method(path)
        if allow == "GET" and any("HEAD" in leaf for leaf, _ in self.endpoints.matches(path)):
            allow = "GET, HEAD"
        return Reply(405, b'{"detail":"Method Not Allowed"}', [JSON_TYPE, (b"allow", allow.encode())])

    def _redirect(self, scope: dict[str, Any], receive: Any) -> Reply | None:
        """To the same path with or without its last slash, when that is a route."""
        location = self._with_other_slash(scope["path"])
        if location is None:
            return None
        target = Request(self.kernel, scope, receive, {}).base_url + location.lstrip("/")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        return Reply(307, b"", [(b"location", quote(target, safe=_PLAIN_IN_URLS).encode())])

    def _with_other_slash(self, path: str) -> str | None:
        """The same path with or without its last slash, when that is a route."""
        if path == "/":
            return None
        other = path.rstrip("/") if path.endswith("/") else path + "/"
        return other if self.endpoints.match(other) is not None else None

    async def send(self, reply: Reply, scope: dict[str, Any], send: Any) -> None:
        """Send an answer, with the headers that every answer has."""
        headers, body = reply.headers, reply.body
        streamed = isinstance(reply, Stream)
        sized = streamed or len(body) >= GZIP_FLOOR
        headers.append(_VARY_SIZED if sized else VARY)
        for name, value in scope["headers"]:
            if name == b"origin":
                headers += self.kernel.cors.headers_for(value)
            elif sized and name == b"accept-encoding" and b"gzip" in value:
                body, sized = b"" if streamed else gzip(body), False
                headers.append((b"content-encoding", b"gzip"))
        if isinstance(reply, Stream):
            await _stream(reply, not sized, send)
        else:
            await _transmit(reply.status, headers, body, send)

    async def websocket(self, scope: dict[str, Any], receive: Any, send: Any) -> bool:
        """Serve a WebSocket; False when the table does not know its path."""
        for gate in self.gates:
            if gate.opening is not None and not await self._opens(gate.opening, scope):
                await WebSocket(self.kernel, scope, receive, send, {}).refuse()
                return True
        found = self.websockets.match(scope["path"])
        if found is None:
            if self.kernel.blueprints:
                return False
            await WebSocket(self.kernel, scope, receive, send, {}).refuse()
            return True
        endpoint, parameters = found[0]["WS"], found[1]
        socket = WebSocket(self.kernel, scope, receive, send, parameters, endpoint.permission)
        try:
            await endpoint.handler(socket)
        except Disconnected:
            pass
        except Exception:
            log.exception("WebSocket %s (plugin %s) failed", endpoint.path, endpoint.plugin)
            await socket.close(1011, "Internal Server Error")
        finally:
            if self.authentication is not None:
                self.authentication.open_sockets.remove(socket)
        return True


MIN_API_VERSION = (0, 8, 0)
_known_versions: set[bytes] = {b"0.8.4"}


def _check_api_version(request: Request) -> None:
    """Refuse clients whose API version is older than the server understands (reference: orchestration §8)."""
    for name, value in request.scope["headers"]:
        if name == b"x-prefect-api-version" and value and value not in _known_versions:
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
