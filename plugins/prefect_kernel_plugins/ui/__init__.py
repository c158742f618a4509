"""Prefect's own web interface, both versions, served as it was built; nothing of it is part of this distribution.

- `bundles`: where a built interface is found: a directory of the settings, what `prefect-kernel ui install` has
  fetched, or an installed `prefect` (which is not imported)
- `files`: the files of one version, with the base path put in as they are read, and a bounded cache of them
- `serving`: which file, redirect or error a request gets, and `/ui-settings`
- `conditions`: what the headers of a request ask of a file: validators, ranges, types of media, cookies
- `install`: the command `prefect-kernel ui`
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prefect_kernel import hookimpl, web
from prefect_kernel.settings import Setting

if TYPE_CHECKING:
    import click


@hookimpl
def kernel_settings() -> Iterable[Setting]:
    return [
        Setting(
            "PREFECT_KERNEL_UI_FRAME_ANCESTORS",
            str,
            "'self'",
            "Pages that may show the web interface in a frame, as Content-Security-Policy has them; empty lets all.",
        )
    ]


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from .serving import Interface

    group = web.Group("UI", root=True)
    group.otherwise(Interface(settings).answer)
    return [group]


@hookimpl
def kernel_commands() -> Iterable[click.Command]:
    from .install import ui

    return [ui]
