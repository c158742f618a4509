"""Agreements about deployments: what violates them is told once, and so is its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.ids import uuid4
from prefect_kernel.sql import Unit
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.slas.queries import apply
from prefect_kernel_plugins.slas.schemas import SlaBody


@pytest.fixture
def deployment(kernel: KernelUnderTest) -> str:
    """The id of a deployment."""
    return deploy(kernel)


def deploy(kernel: KernelUnderTest) -> str:
    """Make a deployment; its id."""
    flow = kernel.client.post("/flows/", json={"name": "f"}).json()["id"]
    return str(kernel.client.post("/deployments/", json={"name": "d", "flow_id": flow}).json()["id"])


def agree(kernel: KernelUnderTest, deployment: str, **fields: Any) -> Any:
    """Make an agreement; as it is shown."""
    answer = kernel.client.post("/kernel/slas/", json={"name": "s", "deployment_id": deployment, **fields})
    assert answer.status == 201, answer.text
    return answer.json()


def run(kernel: KernelUnderTest, deployment: str, after: float = 0) -> str:
    """Make a run that is scheduled for so many seconds from now; its id."""
    when = (kernel.clock.now() + timedelta(seconds=after)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": when}}
    answer = kernel.client.post(f"/deployments/{deployment}/create_flow_run", json={"state": state})
    assert answer.status == 201, answer.text
    return str(answer.json()["id"])


def told(kernel: KernelUnderTest, **duration: float) -> list[tuple[str, str]]:
    """Let the service look, after a time, twice; what has been told by now, and about what."""
    kernel.clock.advance(**duration)
    for _ in range(2):
        kernel.tick("slas")
    return [
        (one["event"].rpartition(".")[2], one["related"][-1]["prefect.resource.id"].rpartition(".")[2])
        for one in kernel.events
        if one["event"].startswith("prefect.sla.")
    ]


def test_runs_that_take_too_long(kernel: KernelUnderTest, deployment: str) -> None:
    """Told while they run, and when they have ended; also those that ended between two looks; not those of others."""
    sla = agree(kernel, deployment, duration=60, severity="high")
    long, short, between = (run(kernel, deployment) for _ in range(3))
    for one in (long, short):
        kernel.propose(one, "Running")
    assert told(kernel, seconds=50) == []
    kernel.propose(short, "Completed")
    assert told(kernel, seconds=11) == [("violation", long)]
    event = next(one for one in kernel.events if one["event"] == "prefect.sla.violation")
    assert event["resource"] == {
        "prefect.resource.id": f"prefect.sla.{sla['id']}",
        "prefect.resource.name": "s",
        "prefect.sla.severity": "high",
        "prefect.sla.kind": "duration",
    }
    assert [one["prefect.resource.role"] for one in event["related"]] == ["deployment", "flow-run"]
    assert told(kernel, seconds=100) == [("violation", long)]
    kernel.propose(long, "Failed")
    assert told(kernel, seconds=1) == [("violation", long), ("cleared", long)]
    first, last = (one["related"][-1] for one in kernel.events if one["event"].startswith("prefect.sla."))
    assert first == last
    assert first["prefect.resource.name"]
    kernel.propose(between, "Running")
    kernel.clock.advance(seconds=61)
    kernel.propose(between, "Completed")
    assert told(kernel, seconds=1)[2:] == [("violation", between), ("cleared", between)]
    assert len(told(kernel, hours=2)) == 4
    shown = kernel.client.get(f"/kernel/slas/{sla['id']}/violations").json()
    assert [one["subject_id"] for one in shown] == [between, long]
    assert all(one["cleared"] for one in shown)


def test_runs_that_start_late(kernel: KernelUnderTest, deployment: str) -> None:
    """Told when they have not started in time; over when they start, are cancelled or deleted."""
    agree(kernel, deployment, within="PT10M")
    started, cancelled, deleted, punctual = (run(kernel, deployment, after=60) for _ in range(4))
    assert told(kernel, minutes=5) == []
    kernel.propose(punctual, "Running")
    assert told(kernel, minutes=5, seconds=59) == []
    assert sorted(told(kernel, seconds=2)) == sorted(("violation", one) for one in (started, cancelled, deleted))
    kernel.propose(started, "Running")
    kernel.propose(cancelled, "Cancelled")
    kernel.client.delete(f"/flow_runs/{deleted}")
    assert sorted(told(kernel, seconds=1)[3:]) == sorted(("cleared", one) for one in (started, cancelled, deleted))
    late = run(kernel, deployment)
    kernel.clock.advance(minutes=11)
    kernel.propose(late, "Running")
    assert told(kernel, seconds=1)[6:] == [("violation", late), ("cleared", late)]


def test_runs_that_come_too_seldom(kernel: KernelUnderTest, deployment: str) -> None:
    """Told once per silence, not before the agreement is as old, and not while the deployment is paused."""
    sla = agree(kernel, deployment, stale_after=3600)
    assert told(kernel, minutes=59) == []
    assert told(kernel, minutes=2) == [("violation", deployment)]
    assert len(told(kernel, hours=5)) == 1
    one = run(kernel, deployment)
    kernel.propose(one, "Running")
    kernel.propose(one, "Completed")
    assert told(kernel, seconds=1)[1:] == [("cleared", deployment)]
    kernel.client.post(f"/deployments/{deployment}/pause_deployment")
    assert len(told(kernel, hours=2)) == 2
    kernel.client.post(f"/deployments/{deployment}/resume_deployment")
    assert told(kernel, seconds=1)[2:] == [("violation", deployment)]
    shown = kernel.client.get(f"/kernel/slas/{sla['id']}/violations").json()
    assert [(one["subject_id"], one["cleared"] is None) for one in shown] == [(deployment, True), (deployment, False)]


def test_as_the_client_applies_them(kernel: KernelUnderTest, deployment: str) -> None:
    """Matched by name: made, changed, or deleted when they are not sent; and the answer tells which."""
    path = f"/slas/apply-resource-slas/prefect.deployment.{deployment}"
    first = [{"name": "a", "duration": 5}, {"name": "b", "within": 600.0, "owner_resource": "x", "enabled": True}]
    done = kernel.client.post(path, json=first).json()
    assert {name: [one["name"] for one in of] for name, of in done.items()} == {
        "created": ["a", "b"],
        "updated": [],
        "deleted": [],
    }
    done = kernel.client.post(path, json=[{"name": "b", "stale_after": 60.0}, {"name": "c", "duration": 1}]).json()
    assert [[one["name"] for one in done[name]] for name in ("created", "updated", "deleted")] == [["c"], ["b"], ["a"]]
    found = kernel.client.get("/kernel/slas/", params={"deployment_id": deployment}).json()
    assert [(one["name"], one.get("stale_after"), one.get("within")) for one in found] == [
        ("b", 60, None),
        ("c", None, None),
    ]
    assert kernel.client.post(path, json=[]).status == 200
    assert kernel.client.get("/kernel/slas/").json() == []
    for wrong, status in (
        (f"prefect.deployment.{uuid4()}", 404),
        ("prefect.flow.x", 422),
        ("prefect.deployment.x", 422),
    ):
        assert kernel.client.post(f"/slas/apply-resource-slas/{wrong}", json=[]).status == status
    assert kernel.client.post(path, json=[{"name": "a"}]).status == 422


def test_limits(kernel: KernelUnderTest, deployment: str) -> None:
    """As many as there may be are applied with one statement for each thing to do; one more, or a NUL, is refused."""
    path = f"/slas/apply-resource-slas/prefect.deployment.{deployment}"

    def wanted(number: int, duration: int) -> list[dict[str, Any]]:
        return [{"name": f"sla-{n}", "duration": duration} for n in range(number)]

    assert kernel.client.post(path, json=wanted(101, 1)).status == 422
    assert kernel.client.post(path, json=[{"name": "a\0b", "duration": 1}]).status == 422
    named = {"deployment_id": deployment, "duration": 1}
    assert kernel.client.post("/kernel/slas/", json={**named, "name": "a\0b"}).status == 422
    assert kernel.client.get("/kernel/slas/").json() == []
    assert len(kernel.client.post(path, json=wanted(100, 1)).json()["created"]) == 100
    done = kernel.client.post(path, json=wanted(99, 2)).json()
    assert [len(done[what]) for what in ("created", "updated", "deleted")] == [0, 99, 1]
    found = kernel.client.get("/kernel/slas/", params={"deployment_id": deployment}).json()
    assert {(one["name"], one["duration"]) for one in found} == {(f"sla-{n}", 2) for n in range(99)}
    assert kernel.client.post("/kernel/slas/", json={**named, "name": "x"}).status == 201
    assert kernel.client.post("/kernel/slas/", json={**named, "name": "y"}).status == 422
    statements = []

    def counted() -> Unit[Any]:
        unit = apply(deployment, [SlaBody.model_validate(one) for one in wanted(50, 3)], kernel.clock.now())
        answer: Any = None
        while True:
            try:
                statements.append(unit.send(answer))
            except StopIteration as end:
                return end.value
            answer = yield statements[-1]

    done = kernel.run(kernel.kernel.storage.write(counted))
    assert [len(done[what]) for what in ("created", "updated", "deleted")] == [0, 50, 50]
    assert len(statements) < 10


def test_changes(kernel: KernelUnderTest, deployment: str) -> None:
    """One that is off tells nothing; names are those of one deployment; what is gone with its deployment is gone."""
    sla = agree(kernel, deployment, duration=10, enabled=False)
    assert kernel.client.post("/kernel/slas/", json={**sla, "name": "s"}).status == 409
    assert kernel.client.post("/kernel/slas/", json={**sla, "deployment_id": uuid4()}).status == 404
    one = run(kernel, deployment)
    kernel.propose(one, "Running")
    assert told(kernel, minutes=1) == []
    body = {"name": "t", "duration": 30, "severity": "low"}
    assert kernel.client.put(f"/kernel/slas/{sla['id']}", json=body).json()["duration"] == 30
    assert told(kernel, seconds=1) == [("violation", one)]
    assert kernel.client.put(f"/kernel/slas/{uuid4()}", json=body).status == 404
    assert kernel.client.delete(f"/deployments/{deployment}").status == 204
    kernel.tick("slas")
    assert kernel.client.get(f"/kernel/slas/{sla['id']}").status == 404
    assert kernel.client.delete(f"/kernel/slas/{sla['id']}").status == 404


def test_two_servers(make_kernel: MakeKernel, postgres_url: str) -> None:
    """Both look at the same time, again and again: each violation is told once."""
    kernels = [make_kernel(storage=postgres_url) for _ in range(2)]
    first = kernels[0]
    deployment = deploy(first)
    agree(first, deployment, duration=10)
    runs = [run(first, deployment) for _ in range(20)]
    for one in runs:
        first.propose(one, "Running")
    for kernel in kernels:
        kernel.clock.advance(minutes=1)
    for _ in range(3):
        for kernel in kernels:
            kernel.tick("slas")
    assert sorted(told(first)) == sorted(("violation", one) for one in runs)
