"""What probes and monitors are told when the database is away."""

from __future__ import annotations

import asyncio

import pytest

from prefect_kernel.errors import StorageUnavailable
from prefect_kernel.testing import MakeKernel
from prefect_kernel_plugins.root import routes


async def _refuses() -> None:
    raise StorageUnavailable("gone")


async def _hangs() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("ping", [_refuses, _hangs])
def test_a_database_that_is_away(make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch, ping: object) -> None:
    """The process lives, is not ready, and says which it is; afterwards all is well again."""
    kernel = make_kernel()
    ask = kernel.client.get
    assert ask("/ready").status == 200
    assert (ask("/kernel/health").json()["status"], ask("/kernel/health").json()["database"]) == ("ok", "ok")
    with monkeypatch.context() as patch:
        patch.setattr(routes, "PATIENCE", 0.01)
        patch.setattr(kernel.kernel.storage, "ping", ping)
        assert ask("/health").json() is True
        assert ask("/ready").status == 503
        told = ask("/kernel/health")
        assert (told.status, told.json()["status"], told.json()["database"]) == (200, "degraded", "not available")
        assert told.json()["services"]
    assert ask("/kernel/health").json()["status"] == "ok"
