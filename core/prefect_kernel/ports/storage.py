"""The storage port: units of work run against a database.

A unit is a generator (see `prefect_kernel.sql.Unit`): it yields statements and is sent their results. A driver runs a
read unit on one consistent snapshot, a write unit in one transaction which is committed before `write` returns.
Units must be restartable: a driver runs a unit again from its start after a serialisation failure, a deadlock, a busy
database, or `Raced`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

from ..sql import Unit

P = ParamSpec("P")
T = TypeVar("T")


class Storage(Protocol):
    """An open database."""

    dialect: str
    """`sqlite` or `postgresql`."""

    url: str
    """Where the database is, without its password."""

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a unit that only reads. Raises StorageUnavailable when the database cannot answer."""
        ...

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a unit in a transaction; it is durable when this returns, and rolled back when it raises.

        Raises UniqueViolation or IntegrityViolation for broken constraints, StorageUnavailable when the database
        is away, locked for too long, or the queue of writes is full.
        """
        ...

    async def ping(self) -> None:
        """Return when the database answers; raises StorageUnavailable otherwise."""
        ...

    @property
    def database(self) -> Any:
        """The `databases.Database` of this storage, for plugins that prefer that interface."""
        ...


@dataclass(frozen=True)
class StorageDriver:
    """A named way to open a database; chosen by the scheme of the connection URL."""

    name: str
    schemes: tuple[str, ...]
    open: Callable[[str, Any], AbstractAsyncContextManager[Storage]]
    """Called with the connection URL and the settings."""
    manage: Callable[[str, Any], Awaitable[str]] | None = None
    """Called with `upgrade`, `stamp`, `reset` or `check` and the settings; gives a sentence about what the database is
    now, or raises DatabaseNotReady. With `indexes` it gives the names of all indexes that there should be, separated by
    spaces. None when the database needs no looking after."""
    shared: bool = True
    """False when several processes on one database are slower than one."""
