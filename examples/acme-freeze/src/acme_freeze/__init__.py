"""Change freezes: while one lasts, no flow run starts.

Parts: `tables` (the table and its migrations), `routes` (freezes come and go), `rules` (runs wait for their end).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from prefect_kernel import Insert, hookimpl, web
from prefect_kernel.migrations import MigrationSet
from prefect_kernel.settings import Setting

from . import routes, tables
from .rules import HoldDuringFreeze

KERNEL_API = ">=1.0,<2"
"""The versions of the plugin interface that this plugin works with."""

__version__ = "1.0.0"


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return [
        Setting("PREFECT_KERNEL_ACME_FREEZE_MAX_DAYS", int, 14, "Days that a freeze may last at most."),
    ]


@hookimpl
def kernel_tables() -> Iterable[sa.Table]:
    return [tables.freeze]


@hookimpl
def kernel_migrations() -> MigrationSet:
    return tables.MIGRATIONS


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    return [routes.group]


@hookimpl
def kernel_policy_edits(settings: Any) -> Iterable[Insert]:
    return [Insert(HoldDuringFreeze, policy="core-flow", after="WaitForScheduledTime", before="RetryFailedFlows")]
