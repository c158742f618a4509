"""Late runs, expired pauses, what cancelled runs leave behind, and the vacuum, on a clock that is moved."""

from __future__ import annotations

from datetime import timedelta
from uuid import NAMESPACE_URL, uuid5

import pytest
import sqlalchemy as sa

from prefect_kernel.testing import KernelUnderTest, MakeKernel
from prefect_kernel_plugins.flow_runs.tables import flow_run
from prefect_kernel_plugins.work_pools.cleanup import queue_of

from .rows import read

VACUUM = {"PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "true"}


def state_of(kernel: KernelUnderTest, run: dict[str, str], kind: str = "flow_runs") -> tuple[str, str, str | None]:
    """Type, name and message of a run's state."""
    state = kernel.client.get(f"/{kind}/{run['id']}").json()["state"]
    return state["type"], state["name"], state["message"]


def test_late(kernel: KernelUnderTest) -> None:
    """A scheduled run is Late fifteen seconds after its time, keeps that time, and an event tells of it."""
    due = (kernel.clock.now() + timedelta(seconds=60)).isoformat()
    run = kernel.flow_run(state={"type": "SCHEDULED", "state_details": {"scheduled_time": due}})
    kernel.clock.advance(seconds=74)
    kernel.tick("late-runs")
    assert state_of(kernel, run)[1] == "Scheduled"
    kernel.clock.advance(seconds=1)
    kernel.tick("late-runs")
    assert state_of(kernel, run)[:2] == ("SCHEDULED", "Late")
    late = kernel.client.get(f"/flow_runs/{run['id']}").json()
    assert late["next_scheduled_start_time"] == "2030-01-01T12:01:00Z"
    assert kernel.events[-1]["event"] == "prefect.flow-run.Late"
    before = len(kernel.events)
    kernel.tick("late-runs")
    assert len(kernel.events) == before


def test_pause_expires(kernel: KernelUnderTest) -> None:
    """A paused run fails when its timeout is past, and not before."""
    run = kernel.flow_run(state={"type": "RUNNING"})
    until = (kernel.clock.now() + timedelta(seconds=60)).isoformat()
    kernel.propose(run, "Paused", state_details={"pause_timeout": until}, force=True)
    kernel.tick("pause-expirations")
    assert state_of(kernel, run)[0] == "PAUSED"
    kernel.clock.advance(seconds=61)
    kernel.tick("pause-expirations")
    assert state_of(kernel, run) == ("FAILED", "Failed", "The flow was paused and never resumed.")


def test_children_of_cancelled_runs(kernel: KernelUnderTest) -> None:
    """Task runs and subflows of a cancelled run are cancelled; those of others go on."""
    parent, other = kernel.flow_run(state={"type": "RUNNING"}), kernel.flow_run(state={"type": "RUNNING"})
    task = kernel.task_run(flow_run_id=parent["id"], state={"type": "RUNNING"})
    stands_for = kernel.task_run(flow_run_id=parent["id"], state={"type": "RUNNING"})
    subflow = kernel.flow_run(parent_task_run_id=stands_for["id"], state={"type": "RUNNING"})
    elsewhere = kernel.task_run(flow_run_id=other["id"], state={"type": "RUNNING"})
    kernel.propose(parent, "Cancelled", force=True)
    kernel.tick("cancellation-cleanup")
    message = "The parent flow run was cancelled."
    assert state_of(kernel, task, "task_runs") == ("CANCELLED", "Cancelled", message)
    assert state_of(kernel, subflow) == ("CANCELLED", "Cancelled", message)
    assert state_of(kernel, elsewhere, "task_runs")[0] == "RUNNING"


def test_cancelling_times_out(kernel: KernelUnderTest) -> None:
    """A run that is Cancelling for five minutes is Cancelled."""
    run = kernel.flow_run(state={"type": "RUNNING"})
    kernel.propose(run, "Cancelling", force=True)
    kernel.clock.advance(seconds=299)
    kernel.tick("cancellation-cleanup")
    assert state_of(kernel, run)[0] == "CANCELLING"
    kernel.clock.advance(seconds=2)
    kernel.tick("cancellation-cleanup")
    timed_out = "Flow run cancellation timed out; marked this flow run as Cancelled."
    assert state_of(kernel, run) == ("CANCELLED", "Cancelled", timed_out)


def test_what_timed_out_is_cleaned_up(kernel: KernelUnderTest) -> None:
    """A worker of the pool is told, under the ids that Prefect gives such messages; managed pools need none."""
    messages = queue_of(kernel.kernel).messages
    for name, type_ in (("local", "process"), ("pushed", "cloud-run:push"), ("managed", "prefect:managed")):
        queue = kernel.client.post("/work_pools/", json={"name": name, "type": type_}).json()["default_queue_id"]
        run = kernel.flow_run(work_pool_name=name, work_queue_name="default", state={"type": "RUNNING"})
        assert run["work_queue_id"] == queue
        kernel.client.patch(f"/flow_runs/{run['id']}", json={"infrastructure_pid": "host:12"})
        kernel.propose(run, "Cancelling", force=True)
        kernel.clock.advance(seconds=301)
        kernel.tick("cancellation-cleanup")
        if name == "local":
            local = kernel.client.get(f"/flow_runs/{run['id']}").json()
    (message,) = messages.values()
    key = f"cancelling_timeout_teardown.v1:{local['id']}:{local['state_id']}"
    assert (message.id, message.key) == (str(uuid5(NAMESPACE_URL, f"prefect:{key}")), key)
    assert message.kind == "cancelling_timeout_teardown.v1"
    assert message.target == {"flow_run_id": local["id"], "infrastructure_pid": "host:12"}
    assert message.queue_id == local["work_queue_id"]
    assert message.pool_id == local["work_pool_id"]


@pytest.fixture
def vacuumed(make_kernel: object, prepared_url: str) -> KernelUnderTest:
    """A kernel whose vacuum deletes everything that it may."""
    return make_kernel(storage=prepared_url, settings=VACUUM)  # type: ignore[operator]


def test_vacuum(vacuumed: KernelUnderTest) -> None:
    """Runs that ended before the retention period go, with logs; others and subflows stay."""
    kernel = vacuumed
    old, live = kernel.flow_run(state={"type": "RUNNING"}), kernel.flow_run(state={"type": "RUNNING"})
    kernel.propose(old, "Completed")
    stamp = kernel.clock.now().isoformat()
    logs = [{"name": "n", "level": 20, "message": "m", "timestamp": stamp, "flow_run_id": r["id"]} for r in (old, live)]
    assert kernel.client.post("/logs/", json=logs).status == 201
    kernel.tick("db-vacuum-flow-runs")
    assert len(read(kernel, sa.select(flow_run.c.id))) == 2
    kernel.clock.advance(days=91)
    kernel.tick("db-vacuum-flow-runs")
    kernel.tick("db-vacuum-events")
    kernel.tick("db-vacuum-orphans")
    assert [row[0] for row in read(kernel, sa.select(flow_run.c.id))] == [live["id"]]
    assert kernel.client.post("/logs/filter", json={}).json()[0]["flow_run_id"] == live["id"]


def test_services_are_shown(kernel: KernelUnderTest) -> None:
    """Each service with its state, interval and last success."""
    shown = {service["name"]: service for service in kernel.client.get("/kernel/services").json()}
    assert shown["scheduler"]["interval_seconds"] == 60
    assert shown["late-runs"]["state"] == "running"
    assert shown["late-runs"]["setting"] == "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED"
    assert {"last_success", "last_error", "failures", "jitter"} <= shown["late-runs"].keys()
    assert all(service["setting"] for service in shown.values())


def test_a_service_that_fails_says_when_it_tries_again(kernel: KernelUnderTest) -> None:
    """Later and later, a minute at most."""
    service = kernel.kernel.supervisor.services["late-runs"]
    pauses = []
    for service.failures in (0, 1, 2, 9):
        shown = {one["name"]: one for one in kernel.client.get("/kernel/services").json()}
        pauses.append(shown["late-runs"]["backoff_seconds"])
    assert pauses == [0, 10, 20, 60]


def test_parameters_are_bounded_by_the_setting(make_kernel: MakeKernel) -> None:
    """PREFECT_SERVER_API_MAX_PARAMETER_SIZE; a run with more is refused."""
    for limit, status in ((100, 422), (0, 201), (524_288, 201)):
        kernel = make_kernel(settings={"PREFECT_SERVER_API_MAX_PARAMETER_SIZE": limit})
        flow = kernel.client.post("/flows/", json={"name": "big"}).json()["id"]
        answer = kernel.client.post("/flow_runs/", json={"flow_id": flow, "parameters": {"x": "y" * 200}})
        assert answer.status == status, answer.text
