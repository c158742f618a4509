"""Flow runs.

Parts: `tables`, `schemas` (bodies), `wire` (answers), `filters` (POST filters), `create`, `transitions` (proposing
states), `queries` (single runs), `inputs`, `routes` (single runs), `reads` (lists) and `log_file`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from ..common import fields
    from . import bulk, history, inputs, log_file, reads, resume, routes  # noqa: F401 - declares the routes
    from .group import group

    fields.max_parameter_size = settings.server.api.max_parameter_size
    return [group]
