"""A clock that moves only when it is told to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from ..ports.clock import ClockDriver

BEGIN = datetime(2030, 1, 1, 12, tzinfo=UTC)
"""When every test begins."""


class SettableClock:
    """Time as the test wants it. Sleepers wake up when it has been moved beyond the end of their sleep."""

    def __init__(self, now: datetime = BEGIN) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The time; the same until somebody moves it."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + timedelta(seconds=seconds), future))
        await future

    def advance(self, **duration: float) -> datetime:
        """Move the clock: `advance(minutes=5)`, with the arguments of `timedelta`; the new time."""
        return self.set(self._now + timedelta(**duration))

    def set(self, now: datetime) -> datetime:
        """Set the clock to a time that is not before the current one."""
        if now < self._now:
            raise ValueError("Time does not go back.")
        self._now = now
        due = sorted((end, i) for i, (end, _) in enumerate(self._sleepers) if end <= now)
        for _, i in due:
            future = self._sleepers[i][1]
            future.get_loop().call_soon_threadsafe(_wake, future)
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > now]
        return now


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def settable_clock(clock: SettableClock) -> ClockDriver:
    """A driver that gives this clock."""
    return ClockDriver("settable", lambda: clock)
