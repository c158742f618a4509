"""Leases as files in `$PREFECT_HOME/concurrency_leases`: they outlive the process, for servers on one machine.

One JSON file per lease and `expirations.json`, an index of their ends; the format is Prefect's, and either can read
what the other wrote. The lease file is what counts: an entry of the index is believed only after a look at the file.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from prefect_kernel import hookimpl
from prefect_kernel.declare import Declares
from prefect_kernel.ports.leases import Lease, LeaseDriver
from prefect_kernel.sql import Unit

from .filelock import file_lock

log = logging.getLogger("prefect_kernel.leases")


def _to_json(lease: Lease) -> dict[str, Any]:
    metadata: dict[str, Any] = {"slots": lease.slots}
    if lease.holder is not None:
        metadata["holder"] = lease.holder
    return {
        "id": lease.id,
        "resource_ids": list(lease.limit_ids),
        "metadata": metadata,
        "expiration": lease.expires.isoformat(),
        "created_at": lease.created.isoformat(),
    }


def _from_json(data: dict[str, Any]) -> Lease:
    metadata = data["metadata"] or {"slots": 1}
    return Lease(
        id=data["id"],
        limit_ids=tuple(data["resource_ids"]),
        slots=metadata["slots"],
        created=datetime.fromisoformat(data["created_at"]),
        expires=datetime.fromisoformat(data["expiration"]),
        holder=metadata.get("holder"),
    )


class FilesystemLeases:
    """Leases in a directory. Changes are made in threads, since they wait for disks and for other processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._index = directory / "expirations.json"
        self._lock = Lock()  # between threads; the lock file is between processes

    def create(self, unit: Declares, lease: Lease) -> None:
        unit.on_commit.append(_in_thread(self._put, lease))

    def renew(self, unit: Declares, id: str, expires: datetime, seen: Lease | None = None) -> None:
        unit.on_commit.append(_in_thread(self._prolong, id, expires))

    def revoke(self, unit: Declares, id: str, seen: Lease | None = None) -> None:
        unit.on_commit.append(_in_thread(self._drop, id))

    def get(self, id: str) -> Unit[Lease | None]:
        yield from ()
        return self._read(id)

    def expired(self, now: datetime, limit: int = 100) -> Unit[list[str]]:
        yield from ()
        found: list[str] = []
        for id, expires in self._load_index().items():
            if len(found) >= limit:
                break
            if expires < now:
                lease = self._read(id)
                # Without its file, the entry is all that is left of the lease; revoking it removes that too.
                if lease is None or lease.expires < now:
                    found.append(id)
        return found

    def of_limit(self, limit_id: str, now: datetime) -> Unit[list[Lease]]:
        yield from ()
        return [lease for lease in self._held(now) if limit_id in lease.limit_ids]

    def of_holder(self, holder_id: str, limit_ids: list[str], now: datetime) -> Unit[list[Lease]]:
        yield from ()
        wanted = set(limit_ids)
        return [
            lease
            for lease in self._held(now)
            if lease.holder is not None and lease.holder["id"] == holder_id and not wanted.isdisjoint(lease.limit_ids)
        ]

    def leased(self, limit_id: str) -> Unit[int | None]:
        yield from ()
        return None

    # ------------------------------------------------------------ reading
    def _file(self, id: str) -> Path:
        return self.directory / f"{id}.json"

    def _read(self, id: str) -> Lease | None:
        try:
            return _from_json(json.loads(self._file(id).read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):  # files are replaced whole, so this is damage, not a race
            log.exception("the lease file %s is damaged; the lease counts as gone", self._file(id))
            return None

    def _load_index(self) -> dict[str, datetime]:
        try:
            stored = json.loads(self._index.read_bytes())
            return {id: datetime.fromisoformat(expires) for id, expires in stored.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError):
            log.exception("the lease index %s is damaged; the lease files are read instead", self._index)
            files = (path.stem for path in self.directory.glob("*.json") if path != self._index)
            leases = [lease for lease in map(self._read, files) if lease is not None]
            return {lease.id: lease.expires for lease in leases}

    def _held(self, now: datetime) -> list[Lease]:
        """The leases that have a holder and whose time has not run out, oldest first."""
        leases = (self._read(id) for id, expires in self._load_index().items() if expires > now)
        held = [lease for lease in leases if lease is not None and lease.holder is not None and lease.expires > now]
        return sorted(held, key=lambda lease: lease.created)

    # ------------------------------------------------------------ after the commit
    def _put(self, lease: Lease) -> None:
        self._replace(self._file(lease.id), _to_json(lease))
        self._note(lease.id, lease.expires)

    def _prolong(self, id: str, expires: datetime) -> None:
        with self._lock:
            lease = self._read(id)
            if lease is not None:
                self._replace(self._file(id), _to_json(lease.until(expires)))
        self._note(id, expires if lease is not None else None)

    def _drop(self, id: str) -> None:
        with self._lock:
            self._file(id).unlink(missing_ok=True)
        self._note(id, None)

    def _note(self, id: str, expires: datetime | None) -> None:
        """Set or remove one entry of the index."""
        with self._lock, file_lock(self.directory / "expirations.lock"):
            index = {key: value.isoformat() for key, value in self._load_index().items()}
            if expires is not None:
                index[id] = expires.isoformat()
            elif index.pop(id, None) is None:
                return
            self._replace(self._index, index)

    def _replace(self, path: Path, data: dict[str, Any]) -> None:
        """Write a file in one step, so that readers see the old or the new one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.directory, prefix=".lease_", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(data, file)
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise


def _in_thread(function: Callable[..., None], *args: Any) -> Callable[[], Awaitable[None]]:
    return partial(asyncio.to_thread, function, *args)


@asynccontextmanager
async def open_filesystem_leases(settings: Any) -> AsyncIterator[FilesystemLeases]:
    """The leases in the server's home directory."""
    yield FilesystemLeases(Path(settings.home) / "concurrency_leases")


@hookimpl
def kernel_lease_storages() -> Iterable[LeaseDriver]:
    """Leases on disk."""
    name = "prefect.server.concurrency.lease_storage.filesystem"
    return [LeaseDriver("filesystem", open_filesystem_leases, (name,))]
