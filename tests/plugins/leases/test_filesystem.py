"""Leases in files, whose format is Prefect's."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prefect_kernel.declare import Declared, follow_up
from prefect_kernel.ids import uuid4
from prefect_kernel.ports.leases import Lease
from prefect_kernel_plugins.leases_filesystem import FilesystemLeases
from prefect_kernel_plugins.leases_filesystem.filelock import file_lock

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
RUN = {"type": "task_run", "id": uuid4()}


async def store(leases: FilesystemLeases, *made: Lease) -> None:
    """Store leases."""
    declared = Declared()
    for lease in made:
        leases.create(declared, lease)
    await follow_up(declared.on_commit)


def names(directory: Path) -> set[str]:
    """The names of the files in a directory."""
    return {path.name for path in directory.iterdir()}


def read(leases: FilesystemLeases, id: str) -> Lease | None:
    """A lease."""
    with pytest.raises(StopIteration) as stopped:
        next(leases.get(id))
    found: Lease | None = stopped.value.value
    return found


def expired(leases: FilesystemLeases) -> list[str]:
    """Ids of leases that have run out a long time from now."""
    with pytest.raises(StopIteration) as stopped:
        next(leases.expired(NOW + timedelta(days=1)))
    found: list[str] = stopped.value.value
    return found


@pytest.mark.asyncio
async def test_the_files_are_prefects(tmp_path: Path) -> None:
    """One per lease, and an index of their ends; nothing else is left."""
    leases, limit = FilesystemLeases(tmp_path), uuid4()
    lease = Lease.new([limit], 2, NOW, 60, RUN)
    await store(leases, lease)
    assert json.loads((tmp_path / f"{lease.id}.json").read_text()) == {
        "id": lease.id,
        "resource_ids": [limit],
        "metadata": {"slots": 2, "holder": RUN},
        "expiration": "2026-03-04T05:07:07.890123+00:00",
        "created_at": "2026-03-04T05:06:07.890123+00:00",
    }
    assert json.loads((tmp_path / "expirations.json").read_text()) == {lease.id: "2026-03-04T05:07:07.890123+00:00"}
    assert names(tmp_path) == {f"{lease.id}.json", "expirations.json"}


@pytest.mark.asyncio
async def test_leases_outlive_the_process(tmp_path: Path) -> None:
    """Another storage on the directory finds them."""
    lease = Lease.new([uuid4()], 1, NOW, 60)
    await store(FilesystemLeases(tmp_path), lease)
    assert read(FilesystemLeases(tmp_path), lease.id) == lease


def test_a_lease_without_metadata_holds_one_slot(tmp_path: Path) -> None:
    """Prefect may write such files."""
    id = uuid4()
    times = {"expiration": NOW.isoformat(), "created_at": NOW.isoformat()}
    (tmp_path / f"{id}.json").write_text(json.dumps({"id": id, "resource_ids": ["a"], "metadata": None, **times}))
    assert read(FilesystemLeases(tmp_path), id) == Lease(id, ("a",), 1, NOW, NOW, None)


@pytest.mark.asyncio
async def test_a_damaged_lease_counts_as_gone(tmp_path: Path) -> None:
    """Its entry in the index then lets it be revoked."""
    leases, lease = FilesystemLeases(tmp_path), Lease.new([uuid4()], 1, NOW, 60)
    await store(leases, lease)
    (tmp_path / f"{lease.id}.json").write_text("{")
    assert read(leases, lease.id) is None
    assert expired(leases) == [lease.id]


@pytest.mark.asyncio
async def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    """From the lease files."""
    leases = FilesystemLeases(tmp_path)
    first, second = Lease.new([uuid4()], 1, NOW, 60), Lease.new([uuid4()], 1, NOW, 60)
    await store(leases, first)
    (tmp_path / "expirations.json").write_text("[1]")
    await store(leases, second)
    assert set(json.loads((tmp_path / "expirations.json").read_text())) == {first.id, second.id}


@pytest.mark.asyncio
async def test_the_lease_file_counts_not_the_index(tmp_path: Path) -> None:
    """A stale entry does not end a lease that was renewed."""
    leases, lease = FilesystemLeases(tmp_path), Lease.new([uuid4()], 1, NOW, 10 * 86400)
    await store(leases, lease)
    (tmp_path / "expirations.json").write_text(json.dumps({lease.id: NOW.isoformat()}))
    assert expired(leases) == []


@pytest.mark.asyncio
async def test_many_writers_lose_no_entry(tmp_path: Path) -> None:
    """Threads of two storages on one directory, as two processes would be."""
    made = [Lease.new([uuid4()], 1, NOW, 60) for _ in range(24)]
    await store(FilesystemLeases(tmp_path), made[0])
    storages = [FilesystemLeases(tmp_path) for _ in range(2)]
    declared = Declared()
    for i, lease in enumerate(made[1:]):
        storages[i % 2].create(declared, lease)
    await asyncio.gather(*(action() for action in declared.on_commit))
    assert set(json.loads((tmp_path / "expirations.json").read_text())) == {lease.id for lease in made}


# ---------------------------------------------------------------- the lock file
def test_the_lock_names_its_owner_and_goes(tmp_path: Path) -> None:
    """As Prefect's does."""
    path = tmp_path / "deep" / "lock"
    with file_lock(path):
        assert path.read_text() == str(os.getpid())
    assert list(path.parent.iterdir()) == []


def test_a_second_owner_waits(tmp_path: Path) -> None:
    """Until the first one has let go."""
    path, order = tmp_path / "lock", []

    def second() -> None:
        with file_lock(path):
            order.append("second")

    with file_lock(path):
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    """Its process id tells."""
    path = tmp_path / "lock"
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    path.write_bytes(dead.stdout.strip())
    with file_lock(path):
        assert path.read_text() == str(os.getpid())


def test_a_lock_without_an_owner_is_taken_over_after_a_while(tmp_path: Path) -> None:
    """Its process died while it made the file."""
    path = tmp_path / "lock"
    path.write_text("")
    os.utime(path, (0, 0))
    with file_lock(path):
        assert path.read_text() == str(os.getpid())


_REFERENCE = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID
from prefect.server.concurrency.lease_storage import ConcurrencyLimitLeaseMetadata
from prefect.server.concurrency.lease_storage.filesystem import ConcurrencyLeaseStorage

async def main():
    leases = ConcurrencyLeaseStorage(Path(sys.argv[1]))
    ours = await leases.read_lease(UUID(sys.argv[2]))
    assert (ours.metadata.slots, str(ours.metadata.holder.id)) == (2, sys.argv[3]), ours
    assert await leases.renew_lease(ours.id, timedelta(hours=1))
    theirs = await leases.create_lease(ours.resource_ids, timedelta(hours=2), ConcurrencyLimitLeaseMetadata(slots=5))
    print(theirs.id)

asyncio.run(main())
"""


@pytest.mark.reference
@pytest.mark.asyncio
async def test_prefect_and_the_kernel_read_each_other(tmp_path: Path, reference_python: Path) -> None:
    """Prefect renews our lease and makes one of its own, which we find."""
    leases, lease = FilesystemLeases(tmp_path), Lease.new([uuid4()], 2, NOW, 60, RUN)
    await store(leases, lease)
    command = [str(reference_python), "-c", _REFERENCE, str(tmp_path), lease.id, RUN["id"]]
    ran = await asyncio.create_subprocess_exec(*command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    output, _ = await ran.communicate()
    assert ran.returncode == 0
    renewed, theirs = read(leases, lease.id), read(leases, output.decode().split()[-1])
    assert renewed is not None
    assert renewed.expires > lease.expires
    assert theirs is not None
    assert (theirs.limit_ids, theirs.slots, theirs.holder) == (lease.limit_ids, 5, None)
