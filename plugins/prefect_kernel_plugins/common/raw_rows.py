"""Rows that were just written, in the form in which reading them back would give them.

Answering a create from what was written saves the statement that reads it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from prefect_kernel.sql.types import KernelType


@lru_cache(64)
def _encoders(columns: tuple[sa.Column[Any], ...], dialect: str) -> list[tuple[str, Any]]:
    return [
        (column.name, column.type.encoder(dialect) if isinstance(column.type, KernelType) else None)
        for column in columns
    ]


def raw_cells(columns: Sequence[sa.Column[Any]], values: dict[str, Any], dialect: str) -> list[Any]:
    """The cells of these columns as the driver of `dialect` would give them."""
    out = []
    for name, encode in _encoders(tuple(columns), dialect):
        value = values[name]
        out.append(value if value is None or encode is None else encode(value))
    return out
