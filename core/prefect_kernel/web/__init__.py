"""The web side of the kernel: declaring endpoints, reading requests, making replies."""

from .authentication import Authenticator, Caller, credentials
from .described import describe
from .group import Around, Endpoint, Gate, Group, Handler, WebSocketEndpoint
from .reply import Reply, Stream, dumps, json, no_content, raw, text
from .request import Request
from .validation import PathReader
from .websocket import Disconnected, WebSocket

__all__ = [
    "Around",
    "Authenticator",
    "Caller",
    "Disconnected",
    "Endpoint",
    "Gate",
    "Group",
    "Handler",
    "PathReader",
    "Reply",
    "Request",
    "Stream",
    "WebSocket",
    "WebSocketEndpoint",
    "credentials",
    "describe",
    "dumps",
    "json",
    "no_content",
    "raw",
    "text",
]
