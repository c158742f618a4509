"""Leases in this process's memory, for one server process.

They are lost when the process ends; the slots that they stood for then stay taken until somebody resets the limit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any

from prefect_kernel import hookimpl
from prefect_kernel.declare import Declares
from prefect_kernel.ports.leases import Lease, LeaseDriver
from prefect_kernel.sql import Unit


class MemoryLeases:
    """Leases by id, and by the limits that they are on.

    Units read on storage threads while commits are followed up on the event loop, hence the lock.
    """

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}
        self._by_limit: dict[str, dict[str, None]] = {}
        self._lock = Lock()

    def gauges(self) -> dict[str, float]:
        """How many leases there are, for metrics."""
        return {"leases": len(self._leases)}

    def create(self, unit: Declares, lease: Lease) -> None:
        unit.on_commit.append(partial(self._put, lease))

    def renew(self, unit: Declares, id: str, expires: datetime, seen: Lease | None = None) -> None:
        unit.on_commit.append(partial(self._prolong, id, expires))

    def revoke(self, unit: Declares, id: str, seen: Lease | None = None) -> None:
        unit.on_commit.append(partial(self._drop, id))

    def get(self, id: str) -> Unit[Lease | None]:
        yield from ()
        return self._leases.get(id)

    def expired(self, now: datetime, limit: int = 100) -> Unit[list[str]]:
        yield from ()
        with self._lock:
            return [lease.id for lease in self._leases.values() if lease.expires < now][:limit]

    def of_limit(self, limit_id: str, now: datetime) -> Unit[list[Lease]]:
        yield from ()
        return [lease for lease in self._on([limit_id]) if lease.holder is not None and lease.expires > now]

    def of_holder(self, holder_id: str, limit_ids: list[str], now: datetime) -> Unit[list[Lease]]:
        yield from ()
        return [
            lease
            for lease in self._on(limit_ids)
            if lease.holder is not None and lease.holder["id"] == holder_id and lease.expires > now
        ]

    def leased(self, limit_id: str) -> Unit[int | None]:
        yield from ()
        return None

    # ------------------------------------------------------------ after the commit
    def _put(self, lease: Lease) -> None:
        with self._lock:
            self._leases[lease.id] = lease
            for limit_id in lease.limit_ids:
                self._by_limit.setdefault(limit_id, {})[lease.id] = None

    def _prolong(self, id: str, expires: datetime) -> None:
        with self._lock:
            lease = self._leases.get(id)
            if lease is not None:
                self._leases[id] = lease.until(expires)

    def _drop(self, id: str) -> None:
        with self._lock:
            lease = self._leases.pop(id, None)
            for limit_id in dict.fromkeys(lease.limit_ids if lease is not None else ()):  # it may name one twice
                held = self._by_limit[limit_id]
                del held[id]
                if not held:
                    del self._by_limit[limit_id]

    def _on(self, limit_ids: list[str]) -> list[Lease]:
        """The leases on any of these limits, each once, oldest first."""
        with self._lock:
            ids = dict.fromkeys(id for limit_id in limit_ids for id in self._by_limit.get(limit_id, ()))
            found = [self._leases[id] for id in ids]
        return sorted(found, key=lambda lease: lease.created)


@asynccontextmanager
async def open_memory_leases(settings: Any) -> AsyncIterator[MemoryLeases]:
    """A lease storage of this process."""
    yield MemoryLeases()


@hookimpl
def kernel_lease_storages() -> Iterable[LeaseDriver]:
    """Leases in memory."""
    name = "prefect.server.concurrency.lease_storage.memory"
    return [LeaseDriver("memory", open_memory_leases, (name,), shared=False)]
