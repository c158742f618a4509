"""Pools, queues and scheduled runs for tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect_kernel.testing import KernelUnderTest


def post(kernel: KernelUnderTest, path: str, body: dict[str, Any] | None = None, status: int = 200) -> Any:
    """POST, and the answer's JSON."""
    answer = kernel.client.post(path, json=body or {})
    assert answer.status == status, answer.text
    return answer.json() if answer.text else None


def pool(kernel: KernelUnderTest, name: str = "pool", **more: Any) -> Any:
    """A pool."""
    return post(kernel, "/work_pools/", {"name": name, "type": "process", **more}, 201)


def queue(kernel: KernelUnderTest, name: str, pool: str = "pool", **more: Any) -> Any:
    """A queue of a pool."""
    return post(kernel, f"/work_pools/{pool}/queues", {"name": name, **more}, 201)


def change(kernel: KernelUnderTest, path: str, **changes: Any) -> None:
    """PATCH."""
    answer = kernel.client.patch(path, json=changes)
    assert answer.status == 204, answer.text


def read(kernel: KernelUnderTest, path: str) -> Any:
    """GET, and the answer's JSON."""
    answer = kernel.client.get(path)
    assert answer.status == 200, answer.text
    return answer.json()


def run(kernel: KernelUnderTest, queue: str, seconds: float, name: str, pool: str = "pool") -> Any:
    """A run that is scheduled so many seconds from now."""
    at = (kernel.clock.now() + timedelta(seconds=seconds)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}}
    return kernel.flow_run(name=name, work_pool_name=pool, work_queue_name=queue, state=state)


def poll(kernel: KernelUnderTest, *queues: str, pool: str = "pool", **more: Any) -> list[str]:
    """The names of the runs that a worker gets."""
    body = {**({"work_queue_names": list(queues)} if queues else {}), **more}
    found = post(kernel, f"/work_pools/{pool}/get_scheduled_flow_runs", body)
    return [one["flow_run"]["name"] for one in found]


def names(kernel: KernelUnderTest, since: int = 0) -> list[str]:
    """The names of events about pools and queues, from the `since`th on."""
    told = [event["event"].removeprefix("prefect.") for event in kernel.events]
    return [name for name in told if name.startswith("work-")][since:]
