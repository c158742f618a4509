"""Inbound webhooks: requests from outside become events, by a template of each webhook's own.

Parts: `tables`, `schemas`, `queries` (what is stored; secrets are encrypted), `receiving` (checks, templates, events),
`routes`. Nothing is open to anybody until a webhook was made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from .routes import group

    return [group]
