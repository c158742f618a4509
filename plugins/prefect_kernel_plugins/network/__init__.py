"""Who is at the other end: proxies that are believed, hosts that are served, and how much one client may ask for.

Parts: `peers` (networks, and what proxies say of their clients), `hosts` (names by which the server may be asked for),
`limits` (requests per second). Each is off unless its setting is given, and then one gate sees every request and every
opening of a WebSocket before anything else does. It cannot be left out, since what it keeps out must stay out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from prefect_kernel import hookimpl, web
from prefect_kernel.settings import Setting
from prefect_kernel.settings.fields import Names

PROXIES, HOSTS = "PREFECT_KERNEL_TRUSTED_PROXIES", "PREFECT_KERNEL_ALLOWED_HOSTS"
RATE, BURST = "PREFECT_KERNEL_RATE_LIMIT", "PREFECT_KERNEL_RATE_LIMIT_BURST"


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return [
        Setting(
            PROXIES,
            Names,
            (),
            "Addresses and networks of reverse proxies, separated by commas, whose X-Forwarded-For, -Proto, -Host and"
            " -Prefix are believed; nobody else's are.",
        ),
        Setting(
            HOSTS,
            Names,
            (),
            "Names by which the server may be asked for, separated by commas (`*.example.com` is any below it); others"
            " get 400. Unset, any.",
        ),
        Setting(
            RATE,
            Annotated[float, Field(ge=0, le=1_000_000)],
            0.0,
            "Requests per second that one client address may make in the long run, per server process; beyond it 429."
            " 0 is no limit.",
        ),
        Setting(
            BURST,
            Annotated[int, Field(ge=0, le=10_000_000)],
            0,
            "Requests that a client address may make at once under PREFECT_KERNEL_RATE_LIMIT; 0 is ten seconds' worth.",
        ),
    ]


@hookimpl
def kernel_middleware(settings: Any) -> Iterable[web.Gate]:
    values = settings.plugin
    if not (values[PROXIES] or values[HOSTS] or values[RATE]):
        return []
    from .front import Front

    front = Front(
        proxies=values[PROXIES], hosts=values[HOSTS], rate=values[RATE], burst=values[BURST], api=_base(settings)
    )
    return [web.Gate(front.check, front.opening)]


def _base(settings: Any) -> str:
    base: str = settings.server.api.base_path or "/api"
    return base
