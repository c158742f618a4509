"""Concurrency limits by tag, as clients of the first version of the API see them."""

from __future__ import annotations

from typing import Any

from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest

PATH = "/concurrency_limits"


def make(kernel: KernelUnderTest, tag: str, slots: int, status: int = 201) -> dict[str, Any]:
    """Make a limit, or change its number."""
    answer = kernel.client.post(f"{PATH}/", json={"tag": tag, "concurrency_limit": slots})
    assert answer.status == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


def take(kernel: KernelUnderTest, run: str, *tags: str, how: str = "increment") -> Any:
    """Take slots, or give them back."""
    return kernel.client.post(f"{PATH}/{how}", json={"names": list(tags), "task_run_id": run})


def test_a_limit_is_a_global_one(kernel: KernelUnderTest) -> None:
    """It is the global limit `tag:…`; a second POST sets its number."""
    made = make(kernel, "db", 2)
    assert (made["tag"], made["concurrency_limit"], made["active_slots"]) == ("db", 2, [])
    assert kernel.client.get("/v2/concurrency_limits/tag:db").json()["id"] == made["id"]
    assert make(kernel, "db", 3, 200)["id"] == made["id"]
    assert kernel.client.get(f"{PATH}/tag/db").json()["concurrency_limit"] == 3
    assert [one["tag"] for one in kernel.client.post(f"{PATH}/filter", json={}).json()] == ["db"]
    assert kernel.client.delete(f"{PATH}/{made['id']}").status == 200
    assert kernel.client.get(f"{PATH}/{made['id']}").status == 404
    assert kernel.client.delete(f"{PATH}/tag/db").status == 404


def test_slots_are_taken_on_all_tags_or_none(kernel: KernelUnderTest) -> None:
    """Who gets none is told when to come again; what was given back can be taken."""
    make(kernel, "a", 2)
    make(kernel, "b", 1)
    first, second, third = uuid4(), uuid4(), uuid4()
    assert [one["name"] for one in take(kernel, first, "a", "b", "none").json()] == ["a", "b"]
    refused = take(kernel, second, "a", "b")
    assert (refused.status, refused.headers.get("retry-after")) == (423, "10.0")
    assert refused.json() == {"detail": "Concurrency limit for the a tag has been reached"}
    assert take(kernel, second, "a").status == 200
    assert take(kernel, third, "a").status == 423
    assert sorted(kernel.client.get(f"{PATH}/tag/a").json()["active_slots"]) == sorted([first, second])
    assert [one["name"] for one in take(kernel, first, "b", how="decrement").json()] == ["tag:b"]
    assert take(kernel, third, "a", "b").status == 200
    assert kernel.client.get("/v2/concurrency_limits/tag:a").json()["active_slots"] == 2


def test_a_limit_of_nothing(kernel: KernelUnderTest) -> None:
    """Waiting is of no use."""
    make(kernel, "a", 0)
    refused = take(kernel, uuid4(), "a")
    assert (refused.status, refused.headers.get("retry-after")) == (423, None)


def test_reset(kernel: KernelUnderTest) -> None:
    """Holders are forgotten, or replaced by others."""
    make(kernel, "a", 3)
    old, new = uuid4(), uuid4()
    take(kernel, old, "a")
    assert kernel.client.post(f"{PATH}/tag/a/reset", json={"slot_override": [new]}).status == 200
    assert kernel.client.get(f"{PATH}/tag/a").json()["active_slots"] == [new]
    assert kernel.client.post(f"{PATH}/tag/a/reset", json={}).status == 200
    assert kernel.client.get(f"{PATH}/tag/a").json()["active_slots"] == []
    assert kernel.client.post(f"{PATH}/tag/x/reset", json={}).status == 404
