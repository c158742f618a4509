"""Background services and their supervisor: tick, jitter, backoff after a failure, stop."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import StorageUnavailable

if TYPE_CHECKING:
    from .app import Kernel

log = logging.getLogger("prefect_kernel.services")

MAX_BACKOFF = 60.0
"""Seconds between two attempts of a service that keeps failing."""
MAX_AWAY = 5.0
"""The same while the database is away: what waits is done soon after it has come back, however long that took."""
MAX_ROUND = 60.0
"""Seconds after which a round counts as stalled, unless ten intervals are longer."""
STOP_SECONDS = 5.0
"""How long a service has to end its round, and again to clean up."""


class Service:
    """Something that the server does by itself, again and again."""

    name: ClassVar[str] = ""
    setting: ClassVar[str] = ""
    """The setting that switches it on or off; empty when there is none."""
    jitter: ClassVar[float] = 0.1
    """Share of the interval by which each pause is varied, so that several servers do not beat in step."""
    essential: ClassVar[bool] = False
    """True when the server is not ready while this service is stalled."""
    client_facing: ClassVar[bool] = False
    """True when it also runs with --no-services, because requests depend on it."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.last_success: datetime | None = None
        self.last_error: str | None = None
        self.failures = 0
        self.began: datetime | None = None
        """When the round began that is under way."""
        self._away = False
        """Whether the last round failed because the database was away."""
        self._woken = asyncio.Event()

    @classmethod
    def enabled(cls, settings: Any) -> bool:
        """Whether the settings want this service."""
        return True

    @classmethod
    def every(cls, settings: Any) -> float:
        """Seconds between two ticks; asked for when the service is made."""
        raise NotImplementedError

    @cached_property
    def interval(self) -> float:
        """Seconds between two ticks."""
        return self.every(self.kernel.settings)

    async def tick(self) -> None:
        """One round of work, bounded; what is left waits for the next."""
        raise NotImplementedError

    def wake(self) -> None:
        """Have the next tick come at once."""
        self._woken.set()

    async def stop(self) -> None:
        """Called once after the last tick."""

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self._woken.clear()
            self.began = self.kernel.clock.now()
            try:
                await self.tick()
                self.last_success, self.last_error, self.failures = self.kernel.clock.now(), None, 0
            except (Exception, SystemExit, asyncio.CancelledError) as error:  # a SystemExit would end the event loop
                if isinstance(error, asyncio.CancelledError) and _cancelled():
                    raise  # otherwise it is what the round waited for that was cancelled
                self.failures += 1
                self.last_error = f"{type(error).__name__}: {error}"
                self._away = isinstance(error, StorageUnavailable)
                if self._away:
                    log.warning("service %s: database unavailable: %s", self.name, error)
                else:
                    log.exception("service %s failed (%d times in a row)", self.name, self.failures)
            finally:
                self.began = None
            pause = self.backoff or self.interval
            pause *= 1 + self.jitter * (random.random() - 0.5)
            waiter = asyncio.ensure_future(self._woken.wait())
            sleeper = asyncio.ensure_future(self.kernel.clock.sleep(pause))
            try:
                await asyncio.wait({waiter, sleeper}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiter.cancel()
                sleeper.cancel()

    @property
    def backoff(self) -> float:
        """Seconds to the next round, in place of the interval, when the last one failed; 0 when it did not."""
        if not self.failures:
            return 0.0
        return float(min(MAX_AWAY if self._away else MAX_BACKOFF, max(self.interval, 0.5) * 2 ** min(self.failures, 8)))

    @property
    def stalled(self) -> bool:
        """True when the round under way takes so long that it probably never ends."""
        if self.began is None:
            return False
        patience = max(MAX_ROUND, 10 * self.interval)
        return (self.kernel.clock.now() - self.began).total_seconds() > patience

    def health(self) -> dict[str, Any]:
        """How the service is: `running`, `failing` since its last rounds failed, or `stalled` in one."""
        state = "stalled" if self.stalled else "failing" if self.failures else "running"
        return {
            "name": self.name,
            "state": state,
            "last_success": self.last_success,
            "last_error": self.last_error,
            "failures": self.failures,
        }


def _cancelled() -> bool:
    """Whether this task is being cancelled from outside."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Supervisor:
    """Runs services, each in a task of its own."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, services: Iterable[Service], *, paused: bool = False) -> None:
        """Start services; each name once. When `paused` they are only taken in."""
        for service in services:
            self.services[service.name] = service
            if paused:
                continue
            task = asyncio.create_task(service.run(), name=f"service {service.name}")
            task.add_done_callback(partial(self._ended, service))
            self._tasks[service.name] = task

    def _ended(self, service: Service, task: asyncio.Task[None]) -> None:
        """Tell of a service that has ended although nobody has stopped it: it does nothing any more."""
        if task.cancelled() or self._tasks.get(service.name) is not task:
            return
        error = task.exception()
        service.failures += 1
        service.last_error = "it has ended" if error is None else f"it has ended: {type(error).__name__}: {error}"
        log.error("service %s has ended, and is not started again", service.name, exc_info=error)

    async def stop(self) -> None:
        """Cancel every service and let each clean up, the last started first."""
        for name in reversed(list(self._tasks)):
            task = self._tasks.pop(name)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=STOP_SECONDS)
            if not done:
                log.error("service %s does not stop, and is left behind", name)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self.services[name].stop()
            except (Exception, SystemExit, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and _cancelled():
                    raise
                log.exception("service %s failed to stop", name)
