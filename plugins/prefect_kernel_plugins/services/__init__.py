"""Background services that keep the database in order, each on the kernel's clock.

Parts: `scheduler` (runs ahead of their time), `late_runs`, `pause_expirations`, `cancellation` (what cancelled runs
leave behind), `vacuum` (what is too old), `routes` (how services are), `command` (`prefect-kernel services`).
Hooks: routes, services, commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prefect_kernel import Service, hookimpl, web

if TYPE_CHECKING:
    import click


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    """How services are."""
    from .routes import group

    return [group]


@hookimpl
def kernel_services(settings: Any) -> Iterable[type[Service]]:
    """The services."""
    from .cancellation import CancellationCleanup
    from .late_runs import MarkLateRuns
    from .pause_expirations import FailExpiredPauses
    from .scheduler import RecentDeploymentsScheduler, Scheduler
    from .vacuum import EventVacuum, FlowRunVacuum, OrphanVacuum

    return [
        Scheduler,
        RecentDeploymentsScheduler,
        MarkLateRuns,
        FailExpiredPauses,
        CancellationCleanup,
        FlowRunVacuum,
        EventVacuum,
        OrphanVacuum,
    ]


@hookimpl
def kernel_commands() -> Iterable[click.Command]:
    """`prefect-kernel services`."""
    from .command import services

    return [services]
