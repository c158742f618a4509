"""Who has changed what: a row for each request that makes a change, in the transaction of that change.

Off unless PREFECT_KERNEL_AUDIT says which changes are of interest; then each endpoint that makes such changes is
wrapped at boot, and the storage adds a row to the first transaction of each of their requests.

Parts: `table`, `recording` (the wrapper, and the storage that adds rows), `queries` and `routes` (`GET /kernel/audit`),
`retention` (the service that forgets).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from prefect_kernel import Service, hookimpl, web
from prefect_kernel.settings import Setting

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

WHAT, DAYS = "PREFECT_KERNEL_AUDIT", "PREFECT_KERNEL_AUDIT_RETENTION_DAYS"


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return [
        Setting(
            WHAT,
            Literal["off", "edit", "run"],
            "off",
            "Whose changes are written down, with who has made them: `edit`, those that need the permission `edit` or"
            " `admin`; `run`, also what runs and workers do.",
        ),
        Setting(
            DAYS,
            Annotated[int, Field(ge=0, le=100_000)],
            365,
            "Days after which that is forgotten; 0 keeps it for good.",
        ),
    ]


@hookimpl
def kernel_middleware(settings: Any) -> Iterable[web.Around]:
    what = settings.plugin[WHAT]
    if what == "off":
        return []
    from .recording import recorder

    return [web.Around(recorder(what))]


@asynccontextmanager
async def writing_down(kernel: Kernel) -> AsyncIterator[None]:
    """Have the storage add rows for as long as the server lives."""
    if kernel.settings.plugin[WHAT] == "off":
        yield
        return
    from .recording import RecordingStorage

    before = kernel.storage
    kernel.storage = RecordingStorage(before)
    try:
        yield
    finally:
        kernel.storage = before


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    return [writing_down]


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    if settings.plugin[WHAT] == "off":
        return []
    from .routes import group

    return [group]


@hookimpl
def kernel_services(settings: Any) -> Iterable[type[Service]]:
    if settings.plugin[WHAT] == "off" or not settings.plugin[DAYS]:
        return []
    from .retention import AuditRetention

    return [AuditRetention]
