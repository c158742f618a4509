"""The built-in lease storages keep the contract of lease storages."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from prefect_kernel.ports.leases import LeaseStorage
from prefect_kernel.settings import load
from prefect_kernel.testing.contracts import LeaseContract
from prefect_kernel_plugins import leases_filesystem, leases_memory


def _open(module: object, tmp_path: Path) -> AbstractAsyncContextManager[LeaseStorage]:
    (driver,) = module.kernel_lease_storages()  # type: ignore[attr-defined]
    opened: AbstractAsyncContextManager[LeaseStorage] = driver.open(
        load(environ={"PREFECT_HOME": str(tmp_path)}, cwd=tmp_path)
    )
    return opened


class TestMemory(LeaseContract):
    """Leases in memory."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[LeaseStorage]:
        return _open(leases_memory, tmp_path)


class TestFilesystem(LeaseContract):
    """Leases in files."""

    def open(self, tmp_path: Path) -> AbstractAsyncContextManager[LeaseStorage]:
        return _open(leases_filesystem, tmp_path)
