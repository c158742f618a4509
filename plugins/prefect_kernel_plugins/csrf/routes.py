"""Giving tokens to clients, and asking for them."""

from __future__ import annotations

import hmac

from pydantic import BaseModel, Field

from prefect_kernel import web
from prefect_kernel.errors import Unprocessable

from . import queries

group = web.Group("csrf-token")
web.describe("CsrfToken", queries.WIRE)

_JSON = (b"content-type", b"application/json")
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class CsrfQuery(BaseModel):
    """Query parameters of a request for a CSRF token."""

    client: str = Field(description="The client that wants a token.")


@group.get("/csrf-token", permission="read", query=CsrfQuery, response="CsrfToken")
async def csrf_token(request: web.Request) -> web.Reply:
    """Give a client a token; when CSRF protection is off say so, upon which clients stop asking."""
    kernel = request.kernel
    api = kernel.settings.server.api
    if not api.csrf_protection_enabled:
        raise Unprocessable("CSRF protection is disabled.")
    now = kernel.clock.now()
    row = await kernel.storage.write(queries.give, request.query.client, now, now + api.csrf_token_expiration)
    return web.raw(queries.WIRE.one(kernel.storage.dialect, row))


async def check(request: web.Request) -> web.Reply | None:
    """Refuse requests that would change something and do not carry the token of their client."""
    scope = request.scope
    if scope["method"] not in _CHANGING:
        return None
    prefix = f"{request.kernel.api}/kernel/hooks/"
    if scope["method"] == "POST" and scope["path"].startswith(prefix) and scope["path"] != prefix:
        return None  # webhooks come from elsewhere, and bring a secret or a signature
    token, client = request.header("prefect-csrf-token"), request.header("prefect-csrf-client")
    if token is None:
        return web.Reply(403, b'{"detail":"Missing CSRF token."}', [_JSON])
    if client is None:
        return web.Reply(403, b'{"detail":"Missing client identifier."}', [_JSON])
    kernel = request.kernel
    known = await kernel.storage.read(queries.valid, client, kernel.clock.now())
    if known is None or not hmac.compare_digest(known.encode(), token.encode()):
        return web.Reply(403, b'{"detail":"Invalid CSRF token or client identifier."}', [_JSON, _ANY_ORIGIN])
    return None
