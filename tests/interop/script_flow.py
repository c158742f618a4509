"""Run by the interop tests with the unmodified client: a flow with tasks, a subflow, retries, logs, events, tags.

Before it, what `script_secrets.py` does with the same arguments.
"""

from __future__ import annotations

import sys

import script_secrets
from prefect import flow, get_run_logger, tags, task
from prefect.client.orchestration import get_client
from prefect.events import emit_event

attempts = []


@task(task_run_name="add-{x}", tags=["sums"])
def add(x: int) -> int:
    """Log, and give a number."""
    get_run_logger().info("adding to %d \N{SNOWMAN}", x)
    return x + 1


@task(retries=1, retry_delay_seconds=0)
def second_try() -> str:
    """Fail at the first attempt."""
    attempts.append(1)
    if len(attempts) == 1:
        raise ValueError("not yet")
    return "done"


@task
def hopeless() -> None:
    """Fail."""
    raise ValueError("never")


@flow(version="7")
def inner(limit: int) -> list[int]:
    """A subflow with mapped tasks."""
    return [future.result() for future in add.map(list(range(limit)))]


@flow(description="The outer flow", log_prints=True)
def outer(limit: int, settings: dict[str, object]) -> str:
    """Everything at once."""
    print("settings are", settings)  # noqa: T201 - becomes a log line
    with tags("inner"):
        numbers = inner(limit)
    failed = hopeless(return_state=True)
    return f"{sum(numbers)} {second_try()} {failed.name}"


@flow
def failing() -> None:
    """A flow that fails."""
    raise RuntimeError("on purpose")


if __name__ == "__main__":
    script_secrets.run(sys.argv[1:])
    with tags("interop"):
        assert outer(3, {"a": [1, 2.5, None], "\N{SNOWMAN}": {"big": 2**60}}) == "6 done Failed"
    assert failing(return_state=True).is_failed()
    emit_event("interop.done", {"prefect.resource.id": "interop.1", "n": "1"}, payload={"x": [1, {"y": None}]})
    with get_client(sync_client=True) as client:
        [run] = [r for r in client.read_flow_runs() if r.flow_version == "7" and "number" not in r.labels]
        client._client.post(f"/flow_runs/{run.id}/input", json={"key": "k", "value": "v", "sender": "s"})
        client._client.patch(f"/flow_runs/{run.id}/labels", json={"number": 1, "text": "t", "truth": True})
