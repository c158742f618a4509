"""How the services of this process are; the kernel's own."""

from __future__ import annotations

from typing import Any

from prefect_kernel import Service, web

group = web.Group("services", prefix="/kernel")


def described(service: Service) -> dict[str, Any]:
    """A service with its interval in seconds."""
    return {**service.health(), "interval_seconds": service.every(service.kernel.settings)}


@group.get("/services", permission="read")
async def read_services(request: web.Request) -> web.Reply:
    """Give each service's state, interval, last success, last error, and how often it failed in a row."""
    return web.json([described(service) for service in request.kernel.services()])
