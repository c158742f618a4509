"""What the ASGI application is told about a request."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import httptools

from prefect_kernel.ports.server import Scope
from prefect_kernel_plugins.server_common.response import Headers

_ASGI = {"version": "3.0", "spec_version": "2.3"}


def address(name: Any) -> tuple[str, int] | None:
    """Host and port of a socket's name; None for one that has none."""
    return (name[0], name[1]) if isinstance(name, tuple) else None


def http_scope(
    method: str, target: bytes, version: str, headers: Headers, *, scheme: str, client: Any, server: Any
) -> Scope | None:
    """The scope of an HTTP request; None when what stands between method and version is not a target."""
    if not target.startswith(b"/") and target != b"*":
        try:
            parsed = httptools.parse_url(target)  # http://host/path, as proxies send it
        except httptools.HttpParserInvalidURLError:
            return None
        target = (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
    raw_path, _, query = target.partition(b"?")
    if b"#" in target:
        return None
    try:
        path = raw_path.decode("ascii")
    except UnicodeDecodeError:
        return None
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": version,
        "method": method,
        "scheme": scheme,
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": client,
        "server": server,
        "state": {},
        "extensions": {},
    }
