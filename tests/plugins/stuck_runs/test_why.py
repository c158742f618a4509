"""`GET /api/kernel/flow_runs/{id}/why`: each reason for which a run waits is named."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest, MakeKernel

from .test_deadlines import SCHEDULED, beat, in_pool


def why(kernel: KernelUnderTest, run: dict[str, Any]) -> dict[str, Any]:
    """What is said about a run."""
    answer = kernel.client.get(f"/kernel/flow_runs/{run['id']}/why")
    assert answer.status == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def names(told: dict[str, Any]) -> list[str]:
    """The names of the causes."""
    return [cause["cause"] for cause in told["causes"]]


def pool_of(kernel: KernelUnderTest, run: dict[str, Any]) -> str:
    """The name of the run's work pool."""
    name: str = kernel.client.get(f"/flow_runs/{run['id']}").json()["work_pool_name"]
    return name


def online(kernel: KernelUnderTest, pool: str) -> None:
    """A worker is there, and asks for work."""
    assert kernel.client.post(f"/work_pools/{pool}/workers/heartbeat", json={"name": "anna"}).status == 204
    assert kernel.client.post(f"/work_pools/{pool}/get_scheduled_flow_runs", json={}).status == 200


def test_a_run_that_is_not_there(kernel: KernelUnderTest) -> None:
    """404, and 422 for what is no id."""
    assert kernel.client.get(f"/kernel/flow_runs/{uuid4()}/why").status == 404
    assert kernel.client.get("/kernel/flow_runs/anna/why").status == 404


def test_too_early(kernel: KernelUnderTest) -> None:
    """It waits for its time."""
    at = (kernel.clock.now() + timedelta(hours=25)).isoformat()
    run = in_pool(kernel)
    online(kernel, pool_of(kernel, run))
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}}
    kernel.client.post(f"/flow_runs/{run['id']}/set_state", json={"state": state, "force": True})
    told = why(kernel, run)
    assert names(told) == ["scheduled-later"]
    assert told["summary"] == "It is scheduled for 2030-01-02 13:00:00 UTC, in 1 day 1 hour."


def test_nothing_in_the_way(kernel: KernelUnderTest) -> None:
    """It will be taken at the next poll."""
    run = in_pool(kernel)
    online(kernel, pool_of(kernel, run))
    told = why(kernel, run)
    assert names(told) == ["ready"]
    assert not told["causes"][0]["blocking"]


def test_the_pool_and_its_queue(kernel: KernelUnderTest) -> None:
    """Nobody there, paused, and full: all of it is said."""
    run = in_pool(kernel)
    pool = pool_of(kernel, run)
    assert names(why(kernel, run)) == ["no-worker-online"]
    online(kernel, pool)
    holder = kernel.flow_run(work_pool_name=pool, state=SCHEDULED, name="holder")
    kernel.propose(holder, "Pending")
    limits = {"is_paused": True, "concurrency_limit": 1}
    assert kernel.client.patch(f"/work_pools/{pool}", json=limits).status == 204
    assert kernel.client.patch(f"/work_pools/{pool}/queues/default", json=limits).status == 204
    told = why(kernel, run)
    assert names(told) == ["work-pool-paused", "work-queue-paused", "work-pool-limit-full", "work-queue-limit-full"]
    assert [one["flow_run_id"] for one in told["causes"][2]["holders"]] == [holder["id"]]
    assert told["causes"][3]["sentence"] == (
        "Work queue default has reached its concurrency limit: 1 of 1 slots are taken. Held by holder (Pending)."
    )
    kernel.clock.advance(minutes=10)
    kernel.tick("foreman")
    assert "no-worker-online" in names(why(kernel, run))


def test_the_deployment(kernel: KernelUnderTest) -> None:
    """Its limit is full, and who has the slots; nobody serves it; it is paused."""
    flow = kernel.client.post("/flows/", json={"name": "limited"}).json()["id"]
    body = {"name": "nightly", "flow_id": flow, "concurrency_limit": 1, "paused": True}
    deployment = kernel.client.post("/deployments/", json=body).json()
    runs = [kernel.client.post(f"/deployments/{deployment['id']}/create_flow_run", json={}).json() for _ in range(2)]
    assert names(why(kernel, runs[1])) == ["not-served", "deployment-paused"]
    kernel.propose(runs[0], "Pending")
    kernel.propose(runs[1], "Pending")
    told = why(kernel, runs[1])
    assert names(told) == ["awaiting-concurrency-slot", "deployment-limit-full", "not-served", "deployment-paused"]
    assert [one["flow_run_id"] for one in told["causes"][1]["holders"]] == [runs[0]["id"]]
    kernel.clock.advance(minutes=1)
    kernel.client.post("/deployments/get_scheduled_flow_runs", json={"deployment_ids": [deployment["id"]]})
    assert names(why(kernel, runs[1])) == ["deployment-limit-full", "deployment-paused"]


def test_its_schedule_is_paused(kernel: KernelUnderTest) -> None:
    """The runs that it had made before stay, when they are late."""
    flow = kernel.client.post("/flows/", json={"name": "hourly"}).json()["id"]
    body = {"name": "hourly", "flow_id": flow, "schedules": [{"schedule": {"interval": 3600}, "active": True}]}
    deployment = kernel.client.post("/deployments/", json=body).json()
    kernel.tick("scheduler")
    filters = {"sort": "EXPECTED_START_TIME_ASC", "limit": 1}
    (run,) = kernel.client.post("/flow_runs/filter", json=filters).json()
    kernel.clock.advance(hours=2)
    kernel.tick("late-runs")
    schedule = deployment["schedules"][0]["id"]
    before = why(kernel, run)
    assert "schedule-paused" not in names(before)
    answer = kernel.client.patch(f"/deployments/{deployment['id']}/schedules/{schedule}", json={"active": False})
    assert answer.status == 204
    if kernel.client.get(f"/flow_runs/{run['id']}").status == 200:
        assert "schedule-paused" in names(why(kernel, run))


def test_a_retry(kernel: KernelUnderTest) -> None:
    """A process that retries its run waits for nobody."""
    run = in_pool(kernel, empirical_policy={"retries": 1, "retry_delay": 60})
    online(kernel, pool_of(kernel, run))
    for state, verdict in (("Pending", "ACCEPT"), ("Running", "ACCEPT"), ("Failed", "REJECT")):
        assert kernel.propose(run, state).status == verdict
    assert names(why(kernel, run)) == ["awaiting-retry", "retry-in-process"]
    kernel.clock.advance(minutes=5)
    told = why(kernel, run)
    assert names(told) == ["retry-in-process"]
    assert "4 minutes ago: if the process has died, nobody else will." in told["summary"]


def test_workers_that_do_not_ask_for_the_queue(kernel: KernelUnderTest) -> None:
    """They are there, for other queues."""
    run = in_pool(kernel)
    pool = pool_of(kernel, run)
    assert kernel.client.post(f"/work_pools/{pool}/workers/heartbeat", json={"name": "anna"}).status == 204
    assert names(why(kernel, run)) == ["work-queue-not-polled"]


def test_claims_that_do_not_run_out(make_kernel: MakeKernel) -> None:
    """Without a deadline, it is said that there is none."""
    kernel = make_kernel()
    run = in_pool(kernel)
    online(kernel, pool_of(kernel, run))
    kernel.propose(run, "Pending")
    assert names(why(kernel, run)) == ["claimed", "no-claim-deadline"]


def test_nobody_asks(kernel: KernelUnderTest) -> None:
    """A run that belongs to nothing is its maker's."""
    assert names(why(kernel, kernel.flow_run(state=SCHEDULED))) == ["nobody-asks"]


def test_claimed(kernel: KernelUnderTest) -> None:
    """By whom, since when, and when that ends; or launched and not begun."""
    run = in_pool(kernel)
    pool = pool_of(kernel, run)
    online(kernel, pool)
    kernel.propose(run, "Pending")
    told = why(kernel, run)
    assert names(told) == ["claimed", "claim-deadline"]
    assert told["causes"][0]["sentence"].startswith(f"It was claimed by a worker of work pool {pool} at 2030-01-01")
    kernel.client.patch(f"/flow_runs/{run['id']}", json={"infrastructure_pid": "host:17"})
    event = {
        "id": uuid4(),
        "occurred": (kernel.clock.now() + timedelta(seconds=1)).isoformat(),
        "event": "prefect.worker.submitted-flow-run",
        "resource": {"prefect.resource.id": "prefect.worker.process.anna", "prefect.resource.name": "anna"},
        "related": [{"prefect.resource.id": f"prefect.flow-run.{run['id']}", "prefect.resource.role": "flow-run"}],
        "payload": {},
    }
    assert kernel.client.post("/events", json=[event]).status == 204
    kernel.tick("event-persister")
    told = why(kernel, run)
    assert names(told) == ["launched-not-started"]
    assert told["causes"][0]["worker"] == "anna"
    assert "host:17" in told["summary"]


def test_running_paused_cancelling_ended(kernel: KernelUnderTest) -> None:
    """And what is known of the process."""
    run = kernel.flow_run(state={"type": "RUNNING"})
    assert names(why(kernel, run)) == ["running", "no-heartbeats"]
    beat(kernel, run, kernel.clock.now())
    assert names(why(kernel, run)) == ["running", "last-heartbeat"]
    for state, cause in (("Paused", "paused"), ("Cancelling", "cancelling"), ("Cancelled", "ended")):
        kernel.propose(run, state, force=True)
        assert names(why(kernel, run)) == [cause]
