"""`GET /metrics`."""

from __future__ import annotations

from prefect_kernel import web

from .lifespan import INSTRUMENTS

group = web.Group("metrics")


@group.get("/metrics", permission="read", media="text/plain", versioned=False)
async def metrics(request: web.Request) -> web.Reply:
    """Give all metrics of this process in Prometheus' text format."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    instruments = request.kernel.stash[INSTRUMENTS]
    await instruments.look()
    return web.Reply(200, generate_latest(instruments.registry), [(b"content-type", CONTENT_TYPE_LATEST.encode())])
