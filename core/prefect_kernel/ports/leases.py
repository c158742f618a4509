"""The lease port: who holds concurrency slots, and until when.

A lease must come and go together with the slots that it stands for, so changes are *declared* on the unit of work that
takes or gives back the slots (`prefect_kernel.declare`), and happen with its transaction: a lease storage in the
database declares writes, one in memory or in files declares what to do after the commit. A unit that is rolled back,
run again or only tried out leaves nothing behind. Reads are units themselves. Times are aware datetimes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from ..declare import Declares
from ..ids import uuid4
from ..sql import Call, Unit


@dataclass(frozen=True)
class Lease:
    """Slots that are taken on some limits until `expires`."""

    id: str
    limit_ids: tuple[str, ...]
    slots: int
    created: datetime
    expires: datetime
    holder: dict[str, str] | None = None
    """`{"type": "flow_run" | "task_run" | "deployment", "id": …}`."""

    @classmethod
    def new(
        cls, limit_ids: list[str], slots: int, now: datetime, ttl: float, holder: dict[str, str] | None = None
    ) -> Lease:
        """A lease that begins now and lasts `ttl` seconds."""
        return cls(uuid4(), tuple(limit_ids), slots, now, now + timedelta(seconds=ttl), holder)

    def until(self, expires: datetime) -> Lease:
        """The same lease with another end."""
        return replace(self, expires=expires)


@runtime_checkable
class RenewsAtOnce(Protocol):
    """What a lease storage in the database may offer besides: a renewal that need not read the lease."""

    def renew_if_there(self, id: str, expires: datetime) -> Unit[bool]:
        """Move a lease's end in one statement, a transaction of its own; False when there is no such lease."""
        ...


@runtime_checkable
class InBulk(Protocol):
    """What a lease storage in a PostgreSQL database may offer besides: many leases by one statement."""

    def get_all(self, ids: list[str]) -> Unit[dict[str, Lease]]:
        """Those of these leases that there are."""
        ...

    def create_all(self, leases: list[Lease]) -> Call:
        """The statement that stores leases."""
        ...

    def revoke_all(self, leases: list[Lease]) -> tuple[Call, int]:
        """The statement that forgets leases, if they are as they were seen, and the number of rows it then touches."""
        ...

    def renew_all(self, ends: dict[str, datetime]) -> Unit[set[str]]:
        """Move the ends of leases in a transaction of its own; gives the ids of those that there are."""
        ...


class LeaseStorage(Protocol):
    """Where leases are kept."""

    # ------------------------------------------------------------ changes, with the transaction of `unit`
    def create(self, unit: Declares, lease: Lease) -> None:
        """Store a lease."""
        ...

    # A unit that has read the lease, and decides because of what it has seen, says so by `seen`. A storage in the
    # database then has it decide again when the lease has been renewed or revoked in the meantime.
    def renew(self, unit: Declares, id: str, expires: datetime, seen: Lease | None = None) -> None:
        """Move a lease's end. Nothing happens when there is no such lease (any more)."""
        ...

    def revoke(self, unit: Declares, id: str, seen: Lease | None = None) -> None:
        """Forget a lease, if it is there."""
        ...

    # ------------------------------------------------------------ reads
    def get(self, id: str) -> Unit[Lease | None]:
        """A lease, whether its time has run out or not."""
        ...

    def expired(self, now: datetime, limit: int = 100) -> Unit[list[str]]:
        """Ids of leases whose time has run out."""
        ...

    def of_limit(self, limit_id: str, now: datetime) -> Unit[list[Lease]]:
        """The leases on one limit that have a holder and whose time has not run out, oldest first."""
        ...

    def of_holder(self, holder_id: str, limit_ids: list[str], now: datetime) -> Unit[list[Lease]]:
        """The leases that one run has on any of these limits and whose time has not run out, oldest first."""
        ...

    def leased(self, limit_id: str) -> Unit[int | None]:
        """How many slots of a limit are leased, whether the leases' time has run out or not.

        None from a storage that may lose leases while their slots stay taken.
        """
        ...


@dataclass(frozen=True)
class LeaseDriver:
    """A named way to open a lease storage; `aliases` are Prefect's module names for it."""

    name: str
    open: Callable[[Any], AbstractAsyncContextManager[LeaseStorage]]
    aliases: tuple[str, ...] = ()
    shared: bool = True
    """False when other processes cannot see these leases, so that several workers must not use them."""
