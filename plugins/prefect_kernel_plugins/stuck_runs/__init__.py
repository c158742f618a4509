"""Runs that wait or are stuck: who is dead is found out, and anybody is told why a run does not go on.

Parts: `claims` (workers that die between claiming a run and launching it), `heartbeats` (processes that die while they
run one), `rules` (what becomes of a claimant that comes back), `facts` and `causes` (why a run does not go on),
`routes`, `command` (`prefect-kernel why`). Both deadlines are off unless settings give them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from prefect_kernel import Service, hookimpl, web
from prefect_kernel.policy import Edit, Insert
from prefect_kernel.settings import Setting

if TYPE_CHECKING:
    import click

CLAIM, HEARTBEAT = "PREFECT_KERNEL_CLAIM_DEADLINE_SECONDS", "PREFECT_KERNEL_HEARTBEAT_DEADLINE_SECONDS"


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return [
        Setting(
            CLAIM,
            Annotated[float, Field(ge=0)],
            0.0,
            "Seconds that a worker has to launch a run it has claimed, before others may claim it; 0 for no limit.",
        ),
        Setting(
            HEARTBEAT,
            Annotated[float, Field(ge=0)],
            0.0,
            "Seconds after the last heartbeat of a running flow run that sends some, until it is Crashed; 0 for never.",
        ),
    ]


@hookimpl
def kernel_policy_edits(settings: Any) -> Iterable[Edit]:
    """Where claims run out, those whose claim has run out must not start."""
    if not settings.plugin[CLAIM]:
        return []
    from .rules import AbortStaleClaims

    return [Insert(AbortStaleClaims, policy="core-flow", after="PreventDuplicateTransitions")]


@hookimpl
def kernel_services(settings: Any) -> Iterable[type[Service]]:
    from .claims import ClaimDeadline
    from .heartbeats import HeartbeatDeadline

    return [ClaimDeadline, HeartbeatDeadline]


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from .routes import group

    return [group]


@hookimpl
def kernel_commands() -> Iterable[click.Command]:
    from .command import why

    return [why]
