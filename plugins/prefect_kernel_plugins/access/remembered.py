"""Rows of the database that are believed for some seconds, so that not every request asks for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

T = TypeVar("T")

BELIEVED = timedelta(seconds=5)
"""After so long another process knows of a revoked key, a changed role, or a disabled user; this one knows at once."""

MOST = 10_000


class Remembered(Generic[T]):
    """At most MOST rows by a key, each for BELIEVED."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[T, datetime]] = {}

    def get(self, kernel: Kernel, key: str) -> T | None:
        """The row, if it was read lately."""
        found = self._rows.get(key)
        if found is None or found[1] <= kernel.clock.now():
            return None
        return found[0]

    def put(self, kernel: Kernel, key: str, row: T) -> None:
        """Remember a row."""
        if len(self._rows) >= MOST:
            self._rows.clear()
        self._rows[key] = row, kernel.clock.now() + BELIEVED

    def drop(self, key: str) -> None:
        """There is no such row any more."""
        self._rows.pop(key, None)

    def forget(self) -> None:
        """Something has changed."""
        self._rows.clear()
