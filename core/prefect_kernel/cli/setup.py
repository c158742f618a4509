"""What most commands begin with: settings, with what was given on the command line, and logging."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..settings import Settings, load


def prepare(
    plugins: Sequence[str] = (),
    disable: Sequence[str] = (),
    no_autoload: bool = False,
    *,
    given: Mapping[str, Any] | None = None,
) -> Settings:
    """Load settings and set logging up; `given` are further settings that the command line has set, or None."""
    overrides: dict[str, Any] = {name: value for name, value in (given or {}).items() if value is not None}
    if plugins:
        overrides["kernel.plugins"] = tuple(plugins)
    if disable:
        overrides["kernel.disable"] = tuple(disable)
    if no_autoload:
        overrides["kernel.no_autoload"] = True
    settings = load(overrides=overrides)
    logging.basicConfig(
        level=logging.DEBUG if settings.debug_mode else settings.server.logging_level,
        format="%(asctime)s.%(msecs)03d | %(levelname)-7s | %(name)s - %(message)s",
        datefmt="%H:%M:%S",
    )
    if settings.kernel.log_format == "json":
        from .json_logs import JsonFormatter

        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())
    for warning in settings.warnings:
        click.echo(f"Warning: {warning}", err=True)
    return settings


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the last column has no width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        *cells, last = row
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        click.echo("  ".join([*padded, last]).rstrip())
