"""How the services of this process are; the kernel's own."""

from __future__ import annotations

from typing import Any

from prefect_kernel import Service, web

group = web.Group("services", prefix="/kernel")


def described(service: Service) -> dict[str, Any]:
    """A service with when it comes again."""
    return {
        **service.health(),
        "setting": service.setting or None,
        "interval_seconds": service.interval,
        "jitter": service.jitter,
        "backoff_seconds": service.backoff,
    }


@group.get("/services", permission="read")
async def read_services(request: web.Request) -> web.Reply:
    """Give each service's state, interval, jitter, backoff, last success, last error, and failures in a row."""
    return web.json([described(service) for service in request.kernel.services()])
