"""Asking the running server over HTTP, as Prefect's clients would: the address, the secret and the certificates that
the settings name.
"""

from __future__ import annotations

import ssl
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from ..errors import SettingsError

if TYPE_CHECKING:
    from ..settings import Settings


@dataclass(frozen=True)
class Answer:
    """The JSON of an answer, and its headers."""

    json: object
    headers: Mapping[str, str]


def address_of(settings: Settings, url: str | None = None) -> str:
    """The URL of the API: the one given, that of clients, or what the server listens on. Raises SettingsError."""
    api = settings.server.api
    host = "127.0.0.1" if api.host in ("0.0.0.0", "::", "") else api.host  # noqa: S104 - compared, not listened on
    host = f"[{host}]" if ":" in host else host
    found = (url or settings.api.url or f"http://{host}:{api.port}{api.base_path or '/api'}").rstrip("/")
    try:
        parts = urlsplit(found)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SettingsError(f"{found!r} is no URL of an API, such as http://127.0.0.1:4200/api.")
    return found


def secret_of(settings: Settings) -> str | None:
    """What clients send as an auth string."""
    secret = settings.api.auth_string or settings.server.api.auth_string
    return None if secret is None else secret.get_secret_value()


def trust_of(settings: Settings, url: str) -> ssl.SSLContext | None:
    """Which certificates are good, for a URL that wants one. Raises OSError."""
    if not url.startswith(("https:", "wss:")):
        return None
    context = ssl.create_default_context(cafile=settings.api.ssl_cert_file or None)
    if settings.api.tls_insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def get(settings: Settings, url: str, seconds: float) -> Answer:
    """What is at a URL of the API. Raises OSError (of which URLError is one) and ValueError."""
    request = urllib.request.Request(url)  # noqa: S310 - the address of the settings
    secret, key = secret_of(settings), settings.api.key
    if secret:
        request.add_header("Authorization", "Basic " + b64encode(secret.encode()).decode())
    elif key is not None:
        request.add_header("Authorization", f"Bearer {key.get_secret_value()}")
    trust = trust_of(settings, url)
    with urllib.request.urlopen(request, timeout=seconds, context=trust) as answer:  # noqa: S310
        return Answer(orjson.loads(answer.read()), dict(answer.headers))
