"""Operations on many flow runs and flows at once."""

from __future__ import annotations

import pytest

from prefect_kernel.testing import KernelUnderTest, MakeKernel, make_kernel

__all__ = ["make_kernel"]


@pytest.fixture
def kernel(make_kernel: MakeKernel, prepared_url: str) -> KernelUnderTest:
    """A kernel on a new database; the test runs on SQLite and on PostgreSQL."""
    return make_kernel(storage=prepared_url)


def test_states_are_decided_run_by_run(kernel: KernelUnderTest) -> None:
    """Each matching run has its own verdict, and a refusal of one does not touch the others."""
    flow = kernel.flow_run()["flow_id"]
    pending, done = (kernel.flow_run(flow_id=flow, tags=["these"]) for _ in range(2))
    kernel.propose(done, "Completed")
    body = {"flow_runs": {"tags": {"all_": ["these"]}}, "state": {"type": "CANCELLING"}}
    results = kernel.client.post("/flow_runs/bulk_set_state", json=body).json()["results"]
    assert {r["flow_run_id"]: r["status"] for r in results} == {pending["id"]: "ACCEPT", done["id"]: "ABORT"}


def test_deleting_matches_only_what_the_filter_lets_through(kernel: KernelUnderTest) -> None:
    """Runs that match are gone with their logs, the others stay."""
    kept, gone = kernel.flow_run(name="kept"), kernel.flow_run(name="gone")
    line = {"name": "x", "level": 20, "message": "m", "timestamp": "2026-01-01T00:00:00Z", "flow_run_id": gone["id"]}
    assert kernel.client.post("/logs/", json=[line]).status == 201
    answer = kernel.client.post("/flow_runs/bulk_delete", json={"flow_runs": {"name": {"any_": ["gone"]}}})
    assert answer.json() == {"deleted": [gone["id"]]}
    assert kernel.client.get(f"/flow_runs/{gone['id']}").status == 404
    assert kernel.client.get(f"/flow_runs/{kept['id']}").status == 200
    assert kernel.client.post("/logs/filter", json={}).json() == []


def test_at_most_fifty_at_once(kernel: KernelUnderTest) -> None:
    """A limit above fifty is refused, and without one fifty is the limit."""
    flow = kernel.flow_run()["flow_id"]
    for _ in range(50):
        kernel.flow_run(flow_id=flow)
    assert kernel.client.post("/flow_runs/bulk_delete", json={"limit": 51}).status == 422
    assert len(kernel.client.post("/flow_runs/bulk_delete", json={}).json()["deleted"]) == 50
    assert kernel.client.post("/flow_runs/count", json={}).json() == 1


def test_deleting_flows_takes_their_runs(kernel: KernelUnderTest) -> None:
    """A flow that is deleted with others takes its runs with it."""
    run = kernel.flow_run()
    answer = kernel.client.post("/flows/bulk_delete", json={"flows": {"id": {"any_": [run["flow_id"]]}}})
    assert answer.json() == {"deleted": [run["flow_id"]]}
    assert kernel.client.get(f"/flow_runs/{run['id']}").status == 404
