"""Service level agreements of deployments: runs that start late, take too long or come too seldom, told as events.

Parts: `tables`, `schemas`, `queries` (agreements), `watching` (the service that looks), `routes`. The body of
`/slas/apply-resource-slas/…` and its answer are those that Prefect's client knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from prefect_kernel import Service, hookimpl, web
from prefect_kernel.settings import Setting

INTERVAL = "PREFECT_KERNEL_SLAS_INTERVAL_SECONDS"


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    help = "Seconds between two looks at whether SLAs are kept; 0 switches it off."
    return [Setting(INTERVAL, Annotated[float, Field(ge=0)], 10.0, help)]


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from .routes import client_group, group

    return [group, client_group]


@hookimpl
def kernel_services(settings: Any) -> Iterable[type[Service]]:
    from .watching import Slas

    return [Slas]
