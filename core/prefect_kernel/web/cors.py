"""Cross-origin requests, as the reference's middleware answers them."""

from __future__ import annotations

from typing import Any

from .reply import Reply

EVERY_METHOD = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY")
ALWAYS_ALLOWED = ("Accept", "Accept-Language", "Content-Language", "Content-Type")

VARY = (b"vary", b"Origin")
_PREFLIGHT_VARY = (
    b"vary",
    b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network",
)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


class Cors:
    """The CORS settings, turned into headers once."""

    def __init__(self, api: Any) -> None:
        self.origins = _items(api.cors_allowed_origins)
        methods = _items(api.cors_allowed_methods)
        self.methods = list(EVERY_METHOD) if "*" in methods else methods
        headers = _items(api.cors_allowed_headers)
        self.any_header = "*" in headers
        self.headers = sorted({*ALWAYS_ALLOWED, *headers})
        self.any_origin = "*" in self.origins
        self._allow_methods = ", ".join(self.methods).encode()
        self._known_headers = {header.lower() for header in self.headers}
        self._any = [(b"access-control-allow-origin", b"*")]

    def allows(self, origin: bytes) -> bool:
        """Whether pages of that origin may read answers."""
        return self.any_origin or origin.decode("latin-1") in self.origins

    def headers_for(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        """The headers that let a page of that origin read an answer."""
        if self.any_origin:
            return self._any
        if self.allows(origin):
            return [(b"access-control-allow-origin", origin)]
        return []

    def preflight(self, scope: dict[str, Any]) -> Reply | None:
        """The answer to a preflight request: 200 `OK`, or 400 naming what is not allowed. None for other requests."""
        asked = dict(scope["headers"])
        origin, method = asked.get(b"origin"), asked.get(b"access-control-request-method")
        if origin is None or method is None:
            return None
        wanted = asked.get(b"access-control-request-headers")
        wrong = []
        if not self.allows(origin):
            wrong.append("origin")
        if method.decode("latin-1") not in self.methods:
            wrong.append("method")
        if wanted is not None and not self.any_header:
            names = wanted.decode("latin-1").lower().split(",")
            if any(name.strip() not in self._known_headers for name in names):
                wrong.append("headers")
        if b"access-control-request-private-network" in asked:
            wrong.append("private-network")
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            _PREFLIGHT_VARY,
            *self.headers_for(origin),
            (b"access-control-allow-methods", self._allow_methods),
            (b"access-control-max-age", b"600"),
        ]
        if not self.any_header:
            headers.append((b"access-control-allow-headers", ", ".join(self.headers).encode()))
        elif wanted is not None:
            headers.append((b"access-control-allow-headers", wanted))
        if wrong:
            return Reply(400, f"Disallowed CORS {', '.join(wrong)}".encode(), headers)
        return Reply(200, b"OK", headers)
