"""HTTP basic authentication with one string for all, as Prefect has it: PREFECT_SERVER_API_AUTH_STRING.

It cannot be switched off by leaving the plugin out, since a server with an auth string must not let everybody in.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


class BasicAuth:
    """Knows those who have the auth string: in the header `Authorization`, or in the first message of a WebSocket."""

    name = "basic"
    interactive = True

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._caller = web.Caller("basic", way=self.name)

    def _known(self, given: bytes) -> web.Caller | None:
        # An empty string lets nobody in, as with Prefect's clients, who would not send it.
        return self._caller if self._secret and hmac.compare_digest(given, self._secret) else None

    async def request(self, request: web.Request) -> web.Caller | None:
        parts = (request.header("authorization") or "").split()
        if len(parts) != 2 or parts[0] != "Basic":
            return None
        try:
            given = base64.b64decode(parts[1])
        except (binascii.Error, ValueError):
            return None
        return self._known(given)

    async def socket(self, socket: web.WebSocket, token: str | None) -> web.Caller | None:
        return None if token is None else self._known(token.encode("utf-8", "surrogatepass"))


@hookimpl
def kernel_authenticators(settings: Any) -> Iterable[web.Authenticator]:
    secret = settings.server.api.auth_string
    return [] if secret is None else [BasicAuth(secret.get_secret_value())]
