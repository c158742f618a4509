"""The history of all runs: counted in another way on SQLite, with the same answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel, make_kernel

__all__ = ["make_kernel"]


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel on a new database; the test runs on SQLite and on PostgreSQL."""
    return make_kernel(storage=prepared_url)


def test_the_history_of_all_runs_is_that_of_a_filter_that_lets_all_through(kernel: KernelUnderTest) -> None:
    """Without a filter the sums are those with one that every run passes: late, overdue, running and ended ones."""
    began = kernel.clock.now()
    flow = kernel.flow_run(state={"type": "SCHEDULED"})["flow_id"]
    for i in range(6):
        run = kernel.flow_run(flow_id=flow, state={"type": "SCHEDULED"})
        kernel.clock.advance(minutes=7, milliseconds=i * 333)
        if i > 1:
            kernel.propose(run, "Running")
            kernel.clock.advance(seconds=90)
        if i > 3:
            kernel.propose(run, "Completed" if i == 4 else "Failed")
    kernel.propose(kernel.flow_run(flow_id=flow), "Odd name", type="COMPLETED")
    body = {
        "history_start": (began - timedelta(hours=1)).isoformat(),
        "history_end": (kernel.clock.now() + timedelta(hours=1)).isoformat(),
        "history_interval_seconds": 600,
    }
    every = kernel.client.post("/flow_runs/history", json=body).json()
    filtered = kernel.client.post("/flow_runs/history", json={**body, "flows": {"id": {"any_": [flow]}}}).json()
    assert every == filtered
    counted = sum(state["count_runs"] for interval in every for state in interval["states"])
    assert counted == 8
    assert {s["state_name"] for i in every for s in i["states"]} >= {"Scheduled", "Running", "Odd name", "Failed"}
