"""What the UI asks of flows, flow runs and task runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest


def flow_run(kernel: KernelUnderTest, flow: str = "f", **more: Any) -> dict[str, Any]:
    """A flow run."""
    id = kernel.client.post("/flows/", json={"name": flow}).json()["id"]
    made: dict[str, Any] = kernel.client.post("/flow_runs/", json={"flow_id": id, **more}).json()
    return made


def scheduled(kernel: KernelUnderTest, hours: float) -> dict[str, Any]:
    """A state: scheduled for so many hours from now."""
    when = (kernel.clock.now() + timedelta(hours=hours)).isoformat()
    return {"type": "SCHEDULED", "state_details": {"scheduled_time": when}}


def test_history(kernel: KernelUnderTest) -> None:
    """Runs with duration and lateness; the latest expected one first."""
    late = flow_run(kernel, state=scheduled(kernel, -1))
    soon = flow_run(kernel, state=scheduled(kernel, 1))
    found = kernel.client.post("/ui/flow_runs/history", json={}).json()
    assert [(one["id"], one["lateness"], one["duration"]) for one in found] == [
        (soon["id"], 0.0, 0.0),
        (late["id"], 3600.0, 0.0),
    ]
    assert found[0]["timestamp"] == soon["expected_start_time"]
    assert kernel.client.post("/ui/flow_runs/history", json={"limit": 1001}).status == 422


def test_numbers_of_task_runs(kernel: KernelUnderTest) -> None:
    """Those that stand for subflows are left out."""
    run = flow_run(kernel)
    tasks = [
        kernel.client.post(
            "/task_runs/", json={"flow_run_id": run["id"], "task_key": "t", "dynamic_key": str(n)}
        ).json()["id"]
        for n in range(3)
    ]
    flow_run(kernel, parent_task_run_id=tasks[0])
    nobody = uuid4()
    answer = kernel.client.post("/ui/flow_runs/count-task-runs", json={"flow_run_ids": [run["id"], nobody]})
    assert answer.json() == {run["id"]: 2, nobody: 0}
    one = kernel.client.get(f"/ui/task_runs/{tasks[1]}").json()
    assert (one["id"], one["flow_run_name"]) == (tasks[1], run["name"])
    assert kernel.client.get(f"/ui/task_runs/{nobody}").json() == {"detail": "Task not found"}


def test_next_runs(kernel: KernelUnderTest) -> None:
    """The first of the scheduled runs of each flow."""
    runs = [flow_run(kernel, state=scheduled(kernel, hours)) for hours in (3, 1, 2)]
    other = flow_run(kernel, "g", state={"type": "PENDING"})
    ids = [runs[0]["flow_id"], other["flow_id"]]
    found = kernel.client.post("/ui/flows/next-runs", json={"flow_ids": ids}).json()
    assert (found[ids[0]]["id"], found[ids[1]]) == (runs[1]["id"], None)
    counted = kernel.client.post("/ui/flows/count-deployments", json={"flow_ids": ids}).json()
    assert counted == dict.fromkeys(ids, 0)


def test_counts_of_task_runs(kernel: KernelUnderTest) -> None:
    """By state, and over time: those that have ended well and badly."""
    run = flow_run(kernel)
    start = kernel.clock.now()
    for number, type_ in enumerate(("COMPLETED", "FAILED", "CRASHED", "RUNNING")):
        body = {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": str(number)}
        id = kernel.client.post("/task_runs/", json=body).json()["id"]
        for state in dict.fromkeys(("RUNNING", type_)):
            kernel.client.post(f"/task_runs/{id}/set_state", json={"state": {"type": state}, "force": True})
            kernel.clock.advance(seconds=1)
        kernel.clock.advance(minutes=10)
    counted = kernel.client.post("/ui/task_runs/count", json={}).json()
    assert {key: number for key, number in counted.items() if number} == {
        "COMPLETED": 1, "RUNNING": 1, "FAILED": 1, "CRASHED": 1,
    }  # fmt: skip
    times = {"after_": start.isoformat(), "before_": (start + timedelta(minutes=39)).isoformat()}
    found = kernel.client.post("/ui/task_runs/dashboard/counts", json={"task_runs": {"start_time": times}}).json()
    assert len(found) == 20
    assert [(n, one["completed"], one["failed"]) for n, one in enumerate(found) if any(one.values())] == [
        (0, 1, 0), (5, 0, 1), (10, 0, 1),
    ]  # fmt: skip
    assert kernel.client.post("/ui/task_runs/dashboard/counts", json={"task_runs": {}}).status == 422
