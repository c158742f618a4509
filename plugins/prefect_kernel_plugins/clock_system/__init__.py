"""The system clock: the only place that asks the operating system for the time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from prefect_kernel import hookimpl
from prefect_kernel.ports.clock import ClockDriver


class SystemClock:
    """Wall-clock time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@hookimpl
def kernel_clocks() -> Iterable[ClockDriver]:
    return [ClockDriver("system", SystemClock)]
