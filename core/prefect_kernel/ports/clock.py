"""The clock port: nothing in the tree asks the system for the time or sleeps by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as the kernel sees it."""

    def now(self) -> datetime:
        """The current time, aware, in UTC, with microseconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's time."""
        ...


@dataclass(frozen=True)
class ClockDriver:
    """A named way to make a clock; the kernel opens one at start."""

    name: str
    open: Callable[[], Clock]
