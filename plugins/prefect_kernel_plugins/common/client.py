"""What a request tells about the client that sent it."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import Any

from prefect_kernel import web

_AGENT = re.compile(r"^prefect/(\d+\.\d+\.\d+(?:[a-z.+0-9]+)?) \(API \S+\)$")


@lru_cache(256)
def _client_version(agent: str) -> str | None:
    found = _AGENT.match(agent)
    return found.group(1) if found else None


def client_version(request: web.Request) -> str | None:
    """The client's Prefect version from its User-Agent; None for anything else."""
    agent = request.header("user-agent")
    return None if agent is None else _client_version(agent)


@lru_cache(256)
def _api_version(text: str) -> tuple[int, int, int]:
    major, minor, patch = text.split(".")
    return int(major), int(minor), int(patch)


def api_version(request: web.Request) -> tuple[int, int, int] | None:
    """The API version that the client speaks; None when it does not say."""
    text = request.header("x-prefect-api-version")
    return None if text is None else _api_version(text)


def created_by(request: web.Request) -> dict[str, Any] | None:
    """The automation that sent the request, from its provenance headers."""
    automation = request.header("prefect-automation-id")
    if automation is None:
        return None
    name = request.header("prefect-automation-name") or ""
    try:
        display = base64.b64decode(name.encode(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        display = name
    return {"id": automation, "type": "AUTOMATION", "display_value": display or None}
