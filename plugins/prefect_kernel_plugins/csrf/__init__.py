"""CSRF tokens, one per client: requests that change something must carry theirs, when the settings say so.

- `tables`: the tokens, in the database, so that every server of one knows them
- `queries`: making, reading and forgetting them
- `routes`: `GET /csrf-token`, and the gate that all requests pass

It cannot be switched off by leaving the plugin out, since a server whose settings ask for tokens must not do without.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import hookimpl, web

from .routes import check, group


@hookimpl
def kernel_middleware(settings: Any) -> Iterable[web.Gate]:
    return [web.Gate(check)] if settings.server.api.csrf_protection_enabled else []


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    return [group]
