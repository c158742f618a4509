"""`prefect-kernel database upgrade|stamp|check`."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from ..app import Kernel
from ..ports.server import loop_factory
from .setup import prepare


def run(action: str, **options: Any) -> None:
    """Do it, and print what the database is now."""
    kernel = Kernel(prepare(**options))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        said = runner.run(kernel.manage_database(action))
    click.echo(f"{kernel.settings.shown_database_url}: {said}")
