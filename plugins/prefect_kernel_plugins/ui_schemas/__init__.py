"""Values of a form, checked while they are typed: `POST /ui/schemas/validate`.

Parts: `problems` (errors as a tree that a form can show), `routes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from .routes import group

    return [group]
