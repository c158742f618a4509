"""Pools and queues: what is made, changed and told."""

from __future__ import annotations

from random import Random

from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.work_pools.queues import free_priority, moved
from tests.plugins.work_pools.support import change, names, poll, pool, post, queue, read


def test_a_pool_has_a_default_queue(kernel: KernelUnderTest) -> None:
    """It is made with it, told of, and cannot be deleted alone."""
    made = pool(kernel)
    assert made["status"] == "NOT_READY"
    assert read(kernel, "/work_pools/pool/queues/default")["id"] == made["default_queue_id"]
    assert names(kernel) == ["work-queue.created", "work-pool.created", "work-pool.not-ready"]
    assert kernel.client.delete("/work_pools/pool/queues/default").status == 409
    assert read(kernel, "/work_pools/pool/queues/default")["name"] == "default"
    assert names(kernel)[3:] == []
    assert post(kernel, "/work_pools/", {"name": "pool"}, 409)["detail"].startswith("A work pool with this name")


def test_things_named_like_routes(kernel: KernelUnderTest) -> None:
    """A pool may be called filter, and its queue too."""
    pool(kernel, "filter")
    queue(kernel, "filter", "filter")
    assert read(kernel, "/work_pools/filter")["name"] == "filter"
    assert read(kernel, "/work_pools/filter/queues/filter")["priority"] == 2
    post(kernel, "/work_pools/filter/workers/heartbeat", {"name": "filter"}, 204)
    assert kernel.client.delete("/work_pools/filter/workers/filter").status == 204


def test_reserved_names(kernel: KernelUnderTest) -> None:
    """Nobody makes or deletes pools whose names begin with prefect."""
    assert post(kernel, "/work_pools/", {"name": "PreFect-x"}, 403)["detail"].startswith("Work pools starting with")
    assert kernel.client.delete("/work_pools/prefect-x").status == 403
    assert kernel.client.patch("/work_pools/prefect-x", json={"description": "x"}).status == 403
    assert kernel.client.patch("/work_pools/prefect-x", json={"is_paused": True}).status == 404


def test_statuses_of_a_pool(kernel: KernelUnderTest) -> None:
    """READY while a worker is online, PAUSED while paused; a change names the one before while that is young."""
    pool(kernel)
    post(kernel, "/work_pools/pool/workers/heartbeat", {"name": "w"}, 204)
    assert read(kernel, "/work_pools/pool")["status"] == "READY"
    change(kernel, "/work_pools/pool", is_paused=True)
    post(kernel, "/work_pools/pool/workers/heartbeat", {"name": "w"}, 204)
    assert read(kernel, "/work_pools/pool")["status"] == "PAUSED"
    kernel.clock.advance(minutes=11)
    change(kernel, "/work_pools/pool", is_paused=False)
    assert names(kernel)[3:] == ["work-pool.ready", "work-pool.paused", "work-pool.ready"]
    ready, paused, again = kernel.events[-3:]
    assert (paused["follows"], again["follows"]) == (ready["id"], None)
    change(kernel, "/work_pools/pool", concurrency_limit=3, description="new")
    assert kernel.events[-1]["payload"]["updates"] == {
        "description": {"from": None, "to": "new"},
        "concurrency_limit": {"from": None, "to": 3},
    }


def test_pages_of_queues_of_one_name(kernel: KernelUnderTest) -> None:
    """Every pool has a queue `default`: they come in the order in which they were made, whatever the pages."""
    made = []
    for number in (3, 1, 4, 2, 5):
        kernel.clock.advance(seconds=1)
        made.append(pool(kernel, f"pool-{number}")["default_queue_id"])
    pages = [post(kernel, "/work_queues/filter", {"limit": 2, "offset": offset}) for offset in (0, 2, 4)]
    assert [one["id"] for page in pages for one in page] == made


def test_the_foreman(kernel: KernelUnderTest) -> None:
    """Silent workers are OFFLINE after three intervals, and their pool NOT_READY; queues nobody asks are too."""
    pool(kernel)
    post(kernel, "/work_pools/pool/workers/heartbeat", {"name": "w", "heartbeat_interval_seconds": 10}, 204)
    assert poll(kernel) == []
    before = len(names(kernel))
    kernel.clock.advance(seconds=29)
    kernel.tick("foreman")
    assert names(kernel, before) == []
    kernel.clock.advance(seconds=2)
    kernel.tick("foreman")
    kernel.tick("foreman")
    assert names(kernel, before) == ["work-pool.not-ready"]
    assert [one["status"] for one in post(kernel, "/work_pools/pool/workers/filter")] == ["OFFLINE"]
    kernel.clock.advance(seconds=30)
    kernel.tick("foreman")
    assert names(kernel, before) == ["work-pool.not-ready", "work-queue.not-ready"]
    post(kernel, "/work_pools/pool/workers/heartbeat", {"name": "w"}, 204)
    assert poll(kernel) == []
    assert names(kernel, before)[2:] == ["work-pool.ready", "work-queue.ready"]


def test_a_queue_goes_on(kernel: KernelUnderTest) -> None:
    """READY when it was polled lately, else NOT_READY; a second pause is no news."""
    pool(kernel)
    queue(kernel, "q")
    path = "/work_pools/pool/queues/q"
    poll(kernel, "q")
    before = len(names(kernel))
    for paused in (True, True, False, False):
        change(kernel, path, is_paused=paused)
    assert names(kernel, before) == ["work-queue.paused", "work-queue.ready"]
    change(kernel, path, is_paused=True)
    kernel.clock.advance(seconds=61)
    change(kernel, path, is_paused=False)
    assert read(kernel, path)["status"] == "NOT_READY"


def test_moved_priorities() -> None:
    """Whatever is wanted: priorities differ, the wanted one is had, the order of the others stays."""
    rng = Random(7)
    for _ in range(2000):
        line = sorted((priority, f"q{n}") for n, priority in enumerate(rng.sample(range(1, 12), rng.randrange(1, 7))))
        queues = [(name, priority) for priority, name in line]
        chosen, place = rng.choice(queues)[0], rng.randrange(1, 13)
        stored = sorted(((n, place if n == chosen else p) for n, p in queues), key=lambda one: one[1])
        after = {**dict(stored), **moved(stored, (chosen, place))}
        assert after[chosen] == place
        assert len(set(after.values())) == len(after)
        others = [name for name, _ in queues if name != chosen]
        assert sorted(others, key=after.__getitem__) == others
        untouched = {n: p for n, p in queues if n != chosen and p < place}
        assert untouched.items() <= after.items()
        assert free_priority(after.values()) not in after.values()
