"""What is counted and measured, of one kernel in one process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from prefect_kernel.errors import StorageError
from prefect_kernel.events import outbox
from prefect_kernel.sql import Statement, Unit, point_read
from prefect_kernel.versions import PREFECT_VERSION, VERSION

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel
    from prefect_kernel.transition import Move

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ELSEWHERE = "(no route)"
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
"""Stands for all paths that are no route, so that nobody can make series by asking for paths."""

_OUTBOX = Statement(sa.select(sa.func.count()).select_from(outbox))


@point_read
def _waiting_in_outbox() -> Unit[int]:
    rows = yield _OUTBOX()
    return rows[0][0]


class _Warnings(logging.Handler):
    def __init__(self, count: Counter) -> None:
        super().__init__(logging.WARNING)
        self._count = count

    def emit(self, record: logging.LogRecord) -> None:
        self._count.labels(record.name, record.levelname).inc()


class Instruments:
    """Counters and gauges, in a registry of their own."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        name = "prefect_kernel_"
        self._requests = Histogram(
            f"{name}request_seconds", "Requests", ("method", "route", "status"), buckets=_BUCKETS, registry=registry
        )
        self._transitions = Counter(
            f"{name}transitions", "Decisions about states of runs", ("kind", "status"), registry=registry
        )
        self._verdicts = Counter(
            f"{name}verdicts", "What rules have decided", ("kind", "rule", "verdict"), registry=registry
        )
        self._records = Counter(f"{name}log_records", "Warnings and errors", ("logger", "level"), registry=registry)
        self._age = Gauge(
            f"{name}service_age_seconds", "Seconds since a service's last good round", ("service",), registry=registry
        )
        self._failures = Gauge(
            f"{name}service_failures", "Failed rounds of a service in a row", ("service",), registry=registry
        )
        self._stalled = Gauge(f"{name}service_stalled", "Whether a round does not end", ("service",), registry=registry)
        self._depth = Gauge(f"{name}queue_depth", "What waits", ("queue",), registry=registry)
        self._storage = Gauge(f"{name}storage", "Connections and queues of the database", ("what",), registry=registry)
        self._leases = Gauge(f"{name}leases", "Leases of concurrency slots that this process knows", registry=registry)
        self._plugins = Gauge(f"{name}plugins", "Plugins by what became of them", ("state",), registry=registry)
        Gauge(f"{name}info", "Versions", ("version", "prefect"), registry=registry).labels(
            VERSION, PREFECT_VERSION
        ).set(1)
        self._handler = _Warnings(self._records)

    # ------------------------------------------------------------ as it happens
    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        # Anybody can make up methods, and each label is kept for good.
        method = method if method in _METHODS else "(other)"
        self._requests.labels(method, route or _ELSEWHERE, status).observe(seconds)

    def move_before(self, after: Callable[[Move], None] | None) -> Callable[[Move], None]:
        """What is shown every decision, before it goes on to `after`."""

        def shown(move: Move) -> None:
            self._transitions.labels(move.kind, str(move.status)).inc()
            for rule, verdict, _ in move.trail:
                if verdict != "skipped":
                    self._verdicts.labels(move.kind, rule, verdict).inc()
            if after is not None:
                after(move)

        return shown

    def listen(self) -> None:
        """Count warnings and errors from now on."""
        logging.getLogger("prefect_kernel").addHandler(self._handler)

    def deafen(self) -> None:
        """Count no more."""
        logging.getLogger("prefect_kernel").removeHandler(self._handler)

    # ------------------------------------------------------------ when somebody looks
    async def look(self) -> None:
        """Read what is not counted as it happens."""
        kernel = self.kernel
        now = kernel.clock.now()
        for service in kernel.services():
            if service.last_success is not None:
                self._age.labels(service.name).set((now - service.last_success).total_seconds())
            self._failures.labels(service.name).set(service.failures)
            self._stalled.labels(service.name).set(service.stalled)
        states = [plugin.state for plugin in kernel.plugins.known]
        for state in {*states, "loaded", "skipped", "failed"}:
            self._plugins.labels(state).set(states.count(state))
        for what, value in _gauges(getattr(kernel.storage, "pool", kernel.storage)).items():
            self._storage.labels(what).set(value)
        self._leases.set(_gauges(kernel.leases).get("leases", 0))
        try:
            self._depth.labels("event_outbox").set(await kernel.storage.read(_waiting_in_outbox))
        except StorageError:  # metrics are wanted most when the database is away
            self._depth.remove("event_outbox")
        for queue, value in _queues(kernel).items():
            self._depth.labels(queue).set(value)


def _gauges(of: Any) -> dict[str, float]:
    """What a driver says about itself, if it does."""
    tell = getattr(of, "gauges", None)
    return {} if tell is None else tell()


def _queues(kernel: Kernel) -> dict[str, float]:
    from ..events.sink import SINK
    from ..task_runs.queues import QUEUES

    found: dict[str, float] = {}
    if SINK in kernel.stash:
        found["events_received"] = kernel.stash[SINK].pending
    if QUEUES in kernel.stash:
        found["background_tasks"] = kernel.stash[QUEUES].size
    return found
