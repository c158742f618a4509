"""Workers that die with a run that they have claimed, and processes that die while they run one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from prefect_kernel.errors import StorageUnavailable
from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.stuck_runs import heartbeats

SCHEDULED = {"type": "SCHEDULED"}
EXPIRED = "The claim on this flow run has run out; it must be claimed again before it can start."
TWICE = "This flow run was claimed again after a claim on it ran out, and is already running."


def in_pool(kernel: KernelUnderTest, **fields: Any) -> dict[str, Any]:
    """A scheduled run in a work pool, perhaps of a deployment with a limit."""
    pool = f"pool-{uuid4()}"
    assert kernel.client.post("/work_pools/", json={"name": pool, "type": "process"}).status == 201
    return kernel.flow_run(work_pool_name=pool, state=SCHEDULED, **fields)


def due(kernel: KernelUnderTest, run: dict[str, Any]) -> list[str]:
    """The ids of the runs that a worker of the run's pool would get now."""
    pool = kernel.client.get(f"/flow_runs/{run['id']}").json()["work_pool_name"]
    answer = kernel.client.post(f"/work_pools/{pool}/get_scheduled_flow_runs", json={})
    return [one["flow_run"]["id"] for one in answer.json()]


def name_of(kernel: KernelUnderTest, run: dict[str, Any]) -> str:
    """The name of the run's state."""
    name: str = kernel.client.get(f"/flow_runs/{run['id']}").json()["state"]["name"]
    return name


def beat(kernel: KernelUnderTest, run: dict[str, Any], at: datetime) -> None:
    """A heartbeat of the run's process, as Prefect sends it."""
    event = {
        "id": uuid4(),
        "occurred": at.isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run['id']}", "prefect.resource.name": run["name"]},
        "related": [],
        "payload": {},
    }
    assert kernel.client.post("/events", json=[event]).status == 204
    kernel.tick("event-persister")


# ---------------------------------------------------------------- claims
def test_a_claim_runs_out(kernel: KernelUnderTest) -> None:
    """After the deadline the run is there to be claimed again, and not before; the stale claimant cannot start it."""
    run = in_pool(kernel)
    assert kernel.propose(run, "Pending").status == "ACCEPT"
    kernel.clock.advance(seconds=59)
    kernel.tick("claim-deadline")
    assert (name_of(kernel, run), due(kernel, run)) == ("Pending", [])
    kernel.clock.advance(seconds=2)
    kernel.tick("claim-deadline")
    assert (name_of(kernel, run), due(kernel, run)) == ("ClaimExpired", [run["id"]])
    assert kernel.events[-1]["event"] == "prefect.flow-run.ClaimExpired"

    stale = kernel.propose(run, "Running")
    assert (stale.status, stale.reason) == ("ABORT", EXPIRED)
    assert kernel.propose(run, "Pending").status == "ACCEPT"
    assert kernel.propose(run, "Running").status == "ACCEPT"
    second = kernel.propose(run, "Running")
    assert (second.status, second.reason) == ("ABORT", TWICE)
    assert kernel.propose(run, "Completed").status == "ACCEPT"


def test_what_was_launched_is_nobody_elses(kernel: KernelUnderTest) -> None:
    """A worker that says where it launched the run has not died before that; the run may take its time to begin."""
    launched, unpooled = in_pool(kernel), kernel.flow_run(state=SCHEDULED)
    for run in (launched, unpooled):
        kernel.propose(run, "Pending")
    kernel.client.patch(f"/flow_runs/{launched['id']}", json={"infrastructure_pid": "host:1"})
    kernel.clock.advance(days=1)
    kernel.tick("claim-deadline")
    assert [name_of(kernel, run) for run in (launched, unpooled)] == ["Pending", "Pending"]


@pytest.mark.parametrize("state", ["Running", "Completed", "Crashed", "Cancelled", "Paused"])
def test_only_claims_run_out(kernel: KernelUnderTest, state: str) -> None:
    """Nothing happens to runs that have begun, or ended."""
    run = in_pool(kernel)
    kernel.propose(run, "Pending")
    kernel.propose(run, state, force=True)
    kernel.clock.advance(days=1)
    kernel.tick("claim-deadline")
    assert name_of(kernel, run) == state


def test_an_expired_claim_gives_its_slot_back(kernel: KernelUnderTest) -> None:
    """The deployment's slot goes to whoever claims next."""
    pool = f"pool-{uuid4()}"
    kernel.client.post("/work_pools/", json={"name": pool, "type": "process"})
    flow = kernel.client.post("/flows/", json={"name": "limited"}).json()["id"]
    body = {"name": "limited", "flow_id": flow, "concurrency_limit": 1, "work_pool_name": pool}
    deployment = kernel.client.post("/deployments/", json=body).json()
    runs = [kernel.client.post(f"/deployments/{deployment['id']}/create_flow_run", json={}).json() for _ in range(2)]
    assert kernel.propose(runs[0], "Pending").status == "ACCEPT"
    assert kernel.propose(runs[1], "Pending").status == "REJECT"
    kernel.clock.advance(seconds=61)
    kernel.tick("claim-deadline")
    assert kernel.propose(runs[1], "Pending").status == "ACCEPT"
    assert kernel.propose(runs[0], "Pending").status == "REJECT"


def test_without_a_deadline_there_is_neither_service_nor_rule(make_kernel: MakeKernel) -> None:
    """Nothing changes unless it is asked for."""
    kernel = make_kernel()
    assert not {"claim-deadline", "heartbeat-deadline"} & set(kernel.kernel.supervisor.services)
    run = kernel.flow_run(state=SCHEDULED)
    assert "AbortStaleClaims" not in kernel.propose(run, "Running").rules


# ---------------------------------------------------------------- heartbeats
def test_a_run_whose_heartbeats_stop_is_crashed(kernel: KernelUnderTest) -> None:
    """So long after the last one; who never sent any is left alone."""
    run, silent = kernel.flow_run(state={"type": "RUNNING"}), kernel.flow_run(state={"type": "RUNNING"})
    kernel.tick("heartbeat-deadline")
    for _ in range(2):
        kernel.clock.advance(seconds=30)
        beat(kernel, run, kernel.clock.now())
    kernel.clock.advance(seconds=89)
    kernel.tick("heartbeat-deadline")
    assert name_of(kernel, run) == "Running"
    kernel.clock.advance(seconds=2)
    kernel.tick("heartbeat-deadline")
    state = kernel.client.get(f"/flow_runs/{run['id']}").json()["state"]
    assert (state["type"], state["name"]) == ("CRASHED", "Crashed")
    assert state["message"].startswith("No heartbeat since 2030-01-01 12:01:00 UTC")
    assert name_of(kernel, silent) == "Running"


def test_nobody_is_blamed_for_what_was_not_heard(kernel: KernelUnderTest) -> None:
    """A server that was away hears for a whole deadline before it judges; another attempt begins anew."""
    run = kernel.flow_run(state={"type": "RUNNING"})
    beat(kernel, run, kernel.clock.now())
    kernel.clock.advance(hours=2)
    kernel.tick("heartbeat-deadline")
    assert name_of(kernel, run) == "Running"
    kernel.propose(run, "Scheduled", force=True)
    kernel.propose(run, "Running", force=True)
    kernel.clock.advance(hours=2)
    kernel.tick("heartbeat-deadline")
    assert name_of(kernel, run) == "Running"


def test_nobody_is_blamed_for_what_could_not_be_stored(
    kernel: KernelUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database was away no heartbeat came into it: after that, too, it is listened for a whole deadline."""
    run = kernel.flow_run(state={"type": "RUNNING"})
    kernel.tick("heartbeat-deadline")
    beat(kernel, run, kernel.clock.now())

    async def away(*_: Any, **__: Any) -> None:
        raise StorageUnavailable("The database is away.")

    kernel.clock.advance(seconds=91)
    with monkeypatch.context() as patched:
        patched.setattr(heartbeats, "read", away)
        with pytest.raises(StorageUnavailable):
            kernel.tick("heartbeat-deadline")
    for seconds in (1, 89):
        kernel.clock.advance(seconds=seconds)
        kernel.tick("heartbeat-deadline")
        assert name_of(kernel, run) == "Running"
    kernel.clock.advance(seconds=2)
    kernel.tick("heartbeat-deadline")
    assert name_of(kernel, run) == "Crashed"


def test_who_has_ended_stays_ended(kernel: KernelUnderTest) -> None:
    """Heartbeats stop when a run ends."""
    kernel.tick("heartbeat-deadline")
    run = kernel.flow_run(state={"type": "RUNNING"})
    beat(kernel, run, kernel.clock.now())
    kernel.propose(run, "Completed")
    kernel.clock.advance(hours=1)
    kernel.tick("heartbeat-deadline")
    assert name_of(kernel, run) == "Completed"
