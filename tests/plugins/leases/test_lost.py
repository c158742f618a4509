"""Leases that Redis has lost, as when it runs out of memory, while it still knows when they end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import redis

from prefect_kernel import hookimpl
from prefect_kernel.ports.leases import LeaseDriver
from prefect_kernel.testing import MakeKernel, make_kernel
from prefect_kernel_plugins.common.redis_client import SETTINGS
from prefect_kernel_plugins.leases_redis import open_redis_leases
from tests.support import services

__all__ = ["make_kernel"]


class InRedis:
    """The leases of `leases_redis`, in a Redis that no setting names."""

    __name__ = "leases_of_test"

    def __init__(self, url: str) -> None:
        self._settings = SimpleNamespace(plugin={setting.name: setting.default for setting in SETTINGS})
        self._settings.plugin["PREFECT_REDIS_MESSAGING_URL"] = url

    @hookimpl
    def kernel_lease_storages(self) -> Any:
        return [LeaseDriver("of-test", lambda _: open_redis_leases(self._settings))]


ENDS = "prefect:concurrency:expirations"


def test_the_repossessor_forgets_them(make_kernel: MakeKernel) -> None:
    """Otherwise it would find them first in every round, and in the end nothing else."""
    with services.embedded_redis() as started, redis.Redis.from_url(started.url) as client:
        kernel = make_kernel(InRedis(started.url), settings={"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "of-test"})
        kernel.client.post("/v2/concurrency_limits/", json={"name": "l", "limit": 2})
        body = {"slots": 1, "names": ["l"], "mode": "concurrency", "lease_duration": 60}
        taken = [kernel.client.post("/v2/concurrency_limits/increment-with-lease", json=body).json() for _ in range(2)]
        client.delete(f"prefect:concurrency:lease:{taken[0]['lease_id']}")
        kernel.clock.advance(seconds=61)
        kernel.tick("repossessor")
        assert client.zcard(ENDS) == 0
        # Nobody knows any more what the lost one held.
        assert kernel.client.get("/v2/concurrency_limits/l").json()["active_slots"] == 1
