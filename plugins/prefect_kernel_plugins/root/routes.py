"""The endpoints that every client asks first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prefect_kernel import web
from prefect_kernel.errors import StorageError
from prefect_kernel.versions import PREFECT_API_VERSION, PREFECT_VERSION

from .group import group

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

PATIENCE = 4.0
"""Seconds for the database to answer a probe; many probes themselves wait for five."""


def _heard(ping: asyncio.Future[None]) -> None:
    if not ping.cancelled():
        ping.exception()  # or asyncio reports that nobody has looked at it


@group.get("/health", permission="read", open_=True, versioned=False, response=bool)
async def health(request: web.Request) -> web.Reply:
    """Say that the process answers requests; `true`, whatever state the database is in."""
    return web.raw(b"true")


async def _database_answers(kernel: Kernel) -> bool:
    ping = asyncio.ensure_future(kernel.storage.ping())
    ping.add_done_callback(_heard)
    await asyncio.wait({ping}, timeout=PATIENCE)  # it is not cancelled: that, too, would wait for the database
    if not ping.done() or isinstance(ping.exception(), StorageError):
        return False
    ping.result()
    return True


@group.get("/ready", permission="read", open_=True)
async def ready(request: web.Request) -> web.Reply:
    """Say whether requests that need the database can be answered."""
    if not await _database_answers(request.kernel):
        return web.raw(b'{"message":"Database is not available"}', 503)
    if request.kernel.stalled:
        return web.json({"message": f"Services have stalled: {', '.join(request.kernel.stalled)}"}, 503)
    return web.raw(b'{"message":"OK"}')


@group.get("/kernel/health", permission="read")
async def kernel_health(request: web.Request) -> web.Reply:
    """Say how the database, services and plugins are; the kernel's own, for people and monitors."""
    answers = await _database_answers(request.kernel)
    health = request.kernel.health()
    status = health.pop("status")
    status = status if answers else "degraded"
    return web.json({"status": status, "database": "ok" if answers else "not available", **health})


@group.get("/hello", permission="read", response=str)
async def hello(request: web.Request) -> web.Reply:
    """Say hello."""
    return web.json("\N{WAVING HAND SIGN}")


@group.get("/version", permission="read", versioned=False, response=str)
async def version(request: web.Request) -> web.Reply:
    """Give the version of the API."""
    return web.json(PREFECT_API_VERSION)


@group.get("/admin/version", permission="read", response=str)
async def admin_version(request: web.Request) -> web.Reply:
    """Give the version of Prefect that this server stands in for; clients compare it with their own."""
    return web.json(PREFECT_VERSION)


@group.get("/admin/settings", permission="read")
async def admin_settings(request: web.Request) -> web.Reply:
    """Give the settings, secrets masked."""
    return web.json(request.kernel.settings.admin_settings())
