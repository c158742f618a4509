"""A plain HTTP/1.1 client that sends what it is told: no redirects, no retries, no headers of its own."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

COMPARED_HEADERS = ("content-type", "content-encoding", "location", "retry-after", "allow", "vary", "www-authenticate")
# What the servers' frameworks add to each answer, or leave to the connection.
UNCOMPARED_HEADERS = ("date", "server", "content-length", "connection", "transfer-encoding")
# Servers close idle connections after five seconds; one that was idle this long is not used again.
IDLE_SECONDS = 2.0


@dataclass
class Answer:
    """What a server said. `body` is parsed JSON when it is JSON, else text."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    text: str = ""

    def as_value(self) -> dict[str, Any]:
        """The parts that are compared."""
        return {"status": self.status, "headers": self.headers, "body": self.body}


class Client:
    """One keep-alive connection to one server."""

    def __init__(self, url: str, home: str = "", timeout: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self.home = home
        parts = urlsplit(self.url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send one request and read the answer; a connection that breaks is an answer of status 0."""
        if self._connection is None or time.monotonic() - self._used > IDLE_SECONDS:
            self.close()
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            self._connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                self._connection.putheader(name, value)
            if body is not None or method in ("POST", "PUT", "PATCH"):
                self._connection.putheader("content-length", str(len(body or b"")))
            self._connection.endheaders(body)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(0, body="no answer", text=repr(error))
        self._used = time.monotonic()
        received = {name.lower(): value for name, value in response.getheaders()}
        # After an error a server may close the connection without having said so.
        if response.will_close or response.status >= 500:
            self.close()
        return self._answer(response.status, received, content)

    def _answer(self, status: int, received: Mapping[str, str], content: bytes) -> Answer:
        headers = {name: received[name] for name in COMPARED_HEADERS if name in received}
        if others := sorted({*received} - {*COMPARED_HEADERS, *UNCOMPARED_HEADERS}):
            headers["others"] = ", ".join(others)
        if "location" in headers:
            headers["location"] = headers["location"].replace(self.origin, "http://SERVER")
        if received.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        text = content.decode("utf-8", "replace").replace(self.origin, "http://SERVER")
        if self.home:
            text = text.replace(self.home, "/HOME")
        body: Any = text
        if received.get("content-type", "").startswith("application/json"):
            try:
                body = json.loads(text)
            except ValueError:
                body = f"not JSON: {text}"
        return Answer(status, headers, body, text)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
