"""Cross-origin requests, as the reference's middleware answers them."""

from __future__ import annotations

from typing import Any

from .reply import Reply


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


class Cors:
    """The CORS settings, turned into headers once."""

    def __init__(self, api: Any) -> None:
        self.origins = _items(api.cors_allowed_origins)
        self.methods = _items(api.cors_allowed_methods)
        self.headers = _items(api.cors_allowed_headers)
        self.any_origin = "*" in self.origins
        every = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
        self._allow_methods = ", ".join(every if "*" in self.methods else self.methods).encode()

    def allows(self, origin: bytes) -> bool:
        """Whether pages of that origin may read answers."""
        return self.any_origin or origin.decode("latin-1") in self.origins

    def headers_for(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        """The headers that let a page of that origin read an answer."""
        if self.any_origin:
            return [(b"access-control-allow-origin", b"*")]
        if self.allows(origin):
            return [(b"access-control-allow-origin", origin)]
        return []

    def preflight(self, scope: dict[str, Any]) -> Reply:
        """The answer to a preflight request: 200 `OK`, or 400 naming what is not allowed."""
        asked = dict(scope["headers"])
        origin = asked.get(b"origin", b"")
        wrong = []
        if not self.allows(origin):
            wrong.append("origin")
        method = asked.get(b"access-control-request-method", b"").decode("latin-1")
        if "*" not in self.methods and method not in self.methods:
            wrong.append("method")
        wanted = asked.get(b"access-control-request-headers")
        if wanted is not None and "*" not in self.headers:
            known = {h.lower() for h in self.headers} | {
                "accept",
                "accept-language",
                "content-language",
                "content-type",
            }
            if any(h.strip().lower() not in known for h in wanted.decode("latin-1").split(",")):
                wrong.append("headers")
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"access-control-allow-methods", self._allow_methods),
            (b"access-control-max-age", b"600"),
        ]
        if wanted is not None:
            headers.append((b"access-control-allow-headers", wanted))
        if wrong:
            return Reply(400, b"Disallowed CORS " + ", ".join(wrong).encode(), headers)
        return Reply(200, b"OK", headers)
