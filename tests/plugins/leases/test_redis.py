"""Leases in Redis: seen by several servers, and kept while Redis is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support import services
from tests.support.fixtures import ServerFactory

pytestmark = [pytest.mark.asyncio]


@pytest.fixture
def redis() -> Iterator[services.EmbeddedRedis]:
    """A Redis of the test's own, which may be killed."""
    with services.embedded_redis() as started:
        yield started


def variables(redis: services.EmbeddedRedis) -> dict[str, str]:
    """Settings as of Prefect's package."""
    return {
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_REDIS_MESSAGING_URL": redis.url,
    }


async def take(client: httpx.AsyncClient) -> str:
    """Take a slot with a lease; the lease's id."""
    body = {"slots": 1, "names": ["l"], "mode": "concurrency", "lease_duration": 60}
    answer = await client.post("/v2/concurrency_limits/increment-with-lease", json=body)
    assert answer.status_code == 200, answer.text
    lease: str = answer.json()["lease_id"]
    return lease


async def until(client: httpx.AsyncClient, path: str, body: dict[str, Any], status: int) -> None:
    """Repeat a request until it has this status."""
    async with asyncio.timeout(20):
        while (await client.post(path, json=body)).status_code != status:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.1)


async def slots(client: httpx.AsyncClient) -> int:
    """The slots that are taken."""
    found: int = (await client.get("/v2/concurrency_limits/l")).json()["active_slots"]
    return found


async def test_redis_goes_away(server: ServerFactory, prepared_url: str, redis: services.EmbeddedRedis) -> None:
    """While Redis is away slots are taken, renewed and given back; a lease that only Redis knew answers 503."""
    kernel = server(prepared_url, env=variables(redis))
    async with httpx.AsyncClient(base_url=kernel.api_url, timeout=30) as client:
        assert (await client.post("/v2/concurrency_limits/", json={"name": "l", "limit": 10})).status_code == 201
        lost = await take(client)
        assert (
            await client.post(f"/v2/concurrency_limits/leases/{lost}/renew", json={"lease_duration": 60})
        ).is_success
        redis.kill()
        kept, given_back = await take(client), await take(client)
        answer = await client.post("/v2/concurrency_limits/decrement-with-lease", json={"lease_id": given_back})
        assert answer.status_code == 204
        answer = await client.post(f"/v2/concurrency_limits/leases/{kept}/renew", json={"lease_duration": 60})
        assert answer.is_success
        answer = await client.post(f"/v2/concurrency_limits/leases/{lost}/renew", json={"lease_duration": 60})
        assert answer.status_code == 503
        assert (await client.get("/health")).status_code == 200
        redis.start()
        await until(client, f"/v2/concurrency_limits/leases/{lost}/renew", {"lease_duration": 60}, 410)
        await until(client, "/v2/concurrency_limits/decrement-with-lease", {"lease_id": kept}, 204)
        assert await slots(client) == 1  # of the lease that was lost with Redis
    assert "Redis has all leases again" in kernel.log()


async def test_two_servers_share_leases(
    server: ServerFactory, postgres_url: str, redis: services.EmbeddedRedis
) -> None:
    """A lease of one server is renewed and given back at another, and outlives both."""
    here, there = server(postgres_url, env=variables(redis)), server(postgres_url, env=variables(redis))
    async with httpx.AsyncClient(base_url=here.api_url) as one, httpx.AsyncClient(base_url=there.api_url) as two:
        assert (await one.post("/v2/concurrency_limits/", json={"name": "l", "limit": 10})).status_code == 201
        first, second = await take(one), await take(one)
        assert (await two.post(f"/v2/concurrency_limits/leases/{first}/renew", json={"lease_duration": 60})).is_success
        answer = await two.post("/v2/concurrency_limits/decrement-with-lease", json={"lease_id": first})
        assert answer.status_code == 204
        await asyncio.to_thread(here.restart)
        async with httpx.AsyncClient(base_url=here.api_url) as again:
            answer = await again.post("/v2/concurrency_limits/decrement-with-lease", json={"lease_id": second})
            assert answer.status_code == 204
        assert await slots(two) == 0
