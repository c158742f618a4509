"""Leases that Redis has lost, as when it runs out of memory, and leases that it does not get at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from prefect_kernel import hookimpl
from prefect_kernel.ports.leases import LeaseDriver
from prefect_kernel.testing import MakeKernel, make_kernel
from prefect_kernel_plugins.common.redis_client import SETTINGS
from prefect_kernel_plugins.leases_redis import open_redis_leases, storage
from prefect_kernel_plugins.leases_redis.storage import RedisLeases
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
TAKE = {"slots": 1, "names": ["l"], "mode": "concurrency", "lease_duration": 60}


def test_the_repossessor_forgets_them(make_kernel: MakeKernel) -> None:
    """Otherwise it would find them first in every round, and in the end nothing else."""
    with services.embedded_redis() as started, redis.Redis.from_url(started.url) as client:
        kernel = make_kernel(InRedis(started.url), settings={"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "of-test"})
        kernel.client.post("/v2/concurrency_limits/", json={"name": "l", "limit": 2})
        taken = [kernel.client.post("/v2/concurrency_limits/increment-with-lease", json=TAKE).json() for _ in range(2)]
        client.delete(f"prefect:concurrency:lease:{taken[0]['lease_id']}")
        kernel.clock.advance(seconds=61)
        kernel.tick("repossessor")
        assert client.zcard(ENDS) == 0
        # Nobody knows any more what the lost one held.
        assert kernel.client.get("/v2/concurrency_limits/l").json()["active_slots"] == 1


def test_whatever_is_in_the_way(make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that fails as nobody expects it to is asked again, too, until Redis has the lease."""
    tell, left = RedisLeases._tell, [2]

    async def fail(self: RedisLeases, *arguments: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise RuntimeError("unable to perform operation on a closed transport")
        await tell(self, *arguments)

    monkeypatch.setattr(RedisLeases, "_tell", fail)
    monkeypatch.setattr(storage, "RETRY_SECONDS", 0.01)
    with services.embedded_redis() as started, redis.Redis.from_url(started.url) as client:
        kernel = make_kernel(InRedis(started.url), settings={"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "of-test"})
        kernel.client.post("/v2/concurrency_limits/", json={"name": "l", "limit": 2})
        answer = kernel.client.post("/v2/concurrency_limits/increment-with-lease", json=TAKE)
        assert answer.status == 200

        leases: Any = kernel.kernel.leases

        async def saved() -> None:
            async with asyncio.timeout(20):
                while leases.gauges()["leases_unsaved"]:  # noqa: ASYNC110 - no event says so
                    await asyncio.sleep(0.01)

        kernel.run(saved())
        assert client.exists(f"prefect:concurrency:lease:{answer.json()['lease_id']}")
