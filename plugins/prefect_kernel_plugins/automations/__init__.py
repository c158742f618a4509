"""Automations: what is done when events happen, or do not.

Parts: `tables`, `triggers` and `actions` (what an automation is made of), `kinds` (those of plugins), `schemas`,
`filters`, `queries`, `routes`.
`evaluating` (the algorithm), `store` (its state), `watching` (the service that looks at events and at time).
`performing` (the service that does actions), `acting` (what each does), `calling` (the server's own endpoints),
`rendering` (templates), `notifying` (notifications and webhooks). `firings` (the kernel's own routes).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import Service, hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import firings, routes  # noqa: F401 - declares the routes
    from .group import group

    return [group, firings.group]


@hookimpl
def kernel_triggers() -> Iterable[type]:
    from .triggers import CompoundTrigger, EventTrigger, SequenceTrigger

    return [EventTrigger, CompoundTrigger, SequenceTrigger]


@hookimpl
def kernel_actions() -> Iterable[type]:
    from typing import get_args

    from .actions import BUILT_IN

    return get_args(BUILT_IN)


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    from .kinds import known

    return [known]


@hookimpl
def kernel_services(settings: Any) -> Iterable[type[Service]]:
    from .performing import Actions
    from .watching import Triggers

    return [Actions, Triggers]
