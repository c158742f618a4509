"""The lease port: who holds concurrency slots, and until when.

Methods are units (generators), so that a lease storage in the database joins the transaction of its caller; those in
memory or in files do their work without yielding. Times are aware datetimes, durations seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ..sql import Unit


@dataclass(frozen=True)
class Lease:
    """Slots that are taken on some limits until `expires`."""

    id: str
    limit_ids: tuple[str, ...]
    slots: int
    created: datetime
    expires: datetime
    holder: dict[str, str] | None = None
    """`{"type": "flow_run" | "task_run" | …, "id": …}`."""


class LeaseStorage(Protocol):
    """Where leases are kept."""

    def create(
        self,
        limit_ids: list[str],
        ttl: float,
        now: datetime,
        *,
        slots: int,
        holder: dict[str, str] | None = None,
        id: str | None = None,
    ) -> Unit[Lease]:
        """Store a lease that expires `ttl` seconds after `now`; `id` is made when not given."""
        ...

    def get(self, id: str) -> Unit[Lease | None]:
        """A lease, whether expired or not."""
        ...

    def renew(self, id: str, ttl: float, now: datetime) -> Unit[bool]:
        """Move a lease's expiry to `ttl` seconds after `now`; False when there is no such lease."""
        ...

    def revoke(self, id: str) -> Unit[bool]:
        """Forget a lease; False when there was none."""
        ...

    def expired(self, now: datetime, limit: int = 100) -> Unit[list[str]]:
        """Ids of leases whose time has run out."""
        ...

    def of_limit(self, limit_id: str, limit: int = 200, offset: int = 0) -> Unit[list[Lease]]:
        """The leases on one limit."""
        ...

    def of_holder(self, holder: dict[str, str], limit_ids: list[str]) -> Unit[list[Lease]]:
        """The leases that a holder has on any of these limits."""
        ...


@dataclass(frozen=True)
class LeaseDriver:
    """A named way to open a lease storage; `aliases` are Prefect's module names for it."""

    name: str
    open: Callable[[Any], AbstractAsyncContextManager[LeaseStorage]]
    aliases: tuple[str, ...] = ()
