"""Keeping notifications and webhooks to public addresses. Imports httpx, so this is imported when first needed."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx


async def public_addresses(host: str) -> list[str]:
    """The addresses of a host, all of them public. Raises ValueError, in Prefect's words."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise ValueError("It could not be resolved.") from None
    addresses = [str(address[0]) for *_, address in found]
    for one in addresses:
        if not ipaddress.ip_address(one).is_global:
            raise ValueError(f"It resolves to the private address {one}.")
    return list(dict.fromkeys(addresses))


async def check_public(url: str) -> None:
    """Refuse a URL that leads to a private address. Raises ValueError."""
    parts = urlsplit(url)
    # Two blanks between sentences, as Prefect has them.
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{url!r} is not a valid URL.  Only HTTP and HTTPS URLs are allowed.")
    if not parts.hostname:
        raise ValueError(f"{url!r} is not a valid URL.")
    try:
        await public_addresses(parts.hostname)
    except ValueError as error:
        raise ValueError(f"{url!r} is not a valid URL.  {error}") from None


class _PublicBackend(httpcore.AsyncNetworkBackend):
    """Connects to the very addresses that were checked: a name may be resolved otherwise a moment later.

    Certificates are compared with the name all the same, which httpcore tells by itself.
    """

    def __init__(self, wrapped: httpcore.AsyncNetworkBackend) -> None:
        self._wrapped = wrapped

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await public_addresses(host)
        except ValueError as error:
            raise httpcore.ConnectError(f"Refusing to connect to {host!r}: {error}") from None
        end = None if timeout is None else time.monotonic() + timeout
        failure: Exception = httpcore.ConnectError(f"{host!r} has no address")
        for one in addresses:
            left = None if end is None else max(0.0, end - time.monotonic())
            try:
                return await self._wrapped.connect_tcp(one, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._wrapped.sleep(seconds)


def public_transport(verify: bool = True) -> httpx.AsyncHTTPTransport:
    """A transport that reaches public addresses only; proxies, which would resolve names themselves, are not used."""
    transport = httpx.AsyncHTTPTransport(verify=verify)
    pool: Any = transport._pool  # noqa: SLF001 - httpx has no other way in
    pool._network_backend = _PublicBackend(pool._network_backend)  # noqa: SLF001
    return transport
