"""The gate that everything passes."""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from prefect_kernel import web
from prefect_kernel.errors import SettingsError

from . import HOSTS, PROXIES
from .peers import Networks, address_of, believe

_JSON = (b"content-type", b"application/json")
MOST_CLIENTS = 50_000
"""Clients whose requests are counted; the one that was silent for longest is forgotten for another."""


class RateLimit:
    """A bucket of tokens per client address: a request takes one, and they come back at the rate."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst = rate, float(burst or max(1, math.ceil(rate * 10)))
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """0 when a request may pass, else the seconds until one may."""
        now = self._clock()
        tokens, since = self._buckets.get(client, (self.burst, now))
        tokens = min(self.burst, tokens + (now - since) * self.rate)
        left = tokens - 1 if tokens >= 1 else tokens
        self._buckets[client] = left, now
        self._buckets.move_to_end(client)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if tokens >= 1 else (1 - tokens) / self.rate


def bucket_of(client: Any) -> str:
    """Whose requests are counted together: an address, or the network of one subscriber with IPv6."""
    if client is None:
        return ""
    address = address_of(client[0])
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(client[0]) if address is None else str(address)


_HOST = re.compile(r"\*|(\*\.)?[^\s*/:\[\]]+|\[[0-9a-f:.]+\]", re.IGNORECASE)


class Front:
    """What is asked about every request and every WebSocket."""

    def __init__(self, *, proxies: Sequence[str], hosts: Sequence[str], rate: float, burst: int, api: str) -> None:
        self._trusted = Networks(proxies, PROXIES) if proxies else None
        for host in hosts:
            if _HOST.fullmatch(host) is None:
                raise SettingsError(
                    f"{HOSTS}: {host!r} is no name that a server is asked for by; give names without ports, such as "
                    "flows.example.com, *.example.com or [::1], separated by commas."
                )
        names = [host.lower() for host in hosts if host != "*"]
        self._any_host = len(names) < len(hosts) or not hosts
        self._hosts = {name for name in names if not name.startswith("*.")}
        self._below = tuple(name[1:] for name in names if name.startswith("*."))
        self._limit = RateLimit(rate, burst) if rate else None
        self._probed = {f"{api}/health", f"{api}/ready"}

    def _refusal(self, scope: dict[str, Any]) -> web.Reply | None:
        if self._trusted is not None:
            believe(scope, self._trusted)
        if not self._any_host and scope["path"] not in self._probed and not self._is_served(scope):
            return web.Reply(400, b'{"detail":"This server is not asked for by that host name."}', [_JSON])
        if self._limit is not None:
            seconds = self._limit.wait(bucket_of(scope.get("client")))
            if seconds:
                later = (b"retry-after", str(max(1, math.ceil(seconds))).encode())
                return web.Reply(429, b'{"detail":"Too many requests."}', [_JSON, later])
        return None

    def _is_served(self, scope: dict[str, Any]) -> bool:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        return name in self._hosts or name.endswith(self._below)

    async def check(self, request: web.Request) -> web.Reply | None:
        """About an HTTP request."""
        reply = self._refusal(request.scope)
        if reply is not None and (origin := request.header("origin")) is not None:
            # So that a page that may read answers can also read why there is none.
            reply.headers += request.kernel.cors.headers_for(origin.encode("latin-1"))
        return reply

    async def opening(self, scope: dict[str, Any]) -> bool:
        """About the opening of a WebSocket: whether it may go on."""
        return self._refusal(scope) is None
