"""Transitions of flow runs in a database: races, slots of deployments, and the event that goes with them."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.events import outbox
from prefect_kernel.transition import Move
from prefect_kernel_plugins.concurrency_limits_v2.tables import concurrency_limit_v2
from prefect_kernel_plugins.deployments.tables import deployment
from prefect_kernel_plugins.flow_runs import transitions
from prefect_kernel_plugins.flow_runs.tables import flow_run, flow_run_state
from prefect_kernel_plugins.work_pools.tables import work_pool, work_queue

from .proposals import proposed
from .rows import flow_run_row, insert, limit, row, rows, task_run_row
from .support import NOW, FakeKernel, run_reads
from .support import no_reads as nothing

CLIENT = "3.8.8"


async def propose(kernel: FakeKernel, id: str, type: str, **details: Any) -> Move:
    """Propose a state to a flow run, a second after whatever was before."""
    kernel.clock.time += timedelta(seconds=1)
    anything: Any = kernel
    return await transitions.set_state(anything, id, proposed(type, **details), client_version=CLIENT)


async def deployed(kernel: FakeKernel, size: int | None, runs: int, **options: Any) -> tuple[str | None, list[str]]:
    """A deployment with a limit of that size: the limit's id, and runs of the deployment."""
    limit_id = None if size is None else await limit(kernel, "deployment:x", size)
    first = await flow_run_row(kernel)
    flow_id = (await row(kernel, flow_run, first))["flow_id"]
    values: dict[str, Any] = {"tags": ["of-deployment"], "parameters": {}, "infra_overrides": {}, "paused": False}
    values |= {"enforce_parameter_schema": False, "status": "NOT_READY", "concurrency_options": options or None}
    id = await insert(kernel, deployment, name="nightly", flow_id=flow_id, concurrency_limit_id=limit_id, **values)
    return limit_id, [await flow_run_row(kernel, deployment_id=id) for _ in range(runs)]


async def held(kernel: FakeKernel, limit_id: str | None) -> int:
    """Slots that are taken."""
    assert limit_id is not None
    return int((await row(kernel, concurrency_limit_v2, limit_id))["active_slots"])


@pytest.mark.asyncio
async def test_of_clients_that_race_exactly_one_is_accepted(kernel: FakeKernel) -> None:
    """64 submit the same run: one succeeds, one slot and one state are there, everybody else is told to stop."""
    limit_id, (id,) = await deployed(kernel, 5, 1)
    await propose(kernel, id, "SCHEDULED")
    anything: Any = kernel
    kernel.clock.time += timedelta(seconds=1)
    made = await asyncio.gather(
        *(transitions.set_state(anything, id, proposed("PENDING"), client_version=CLIENT) for _ in range(64))
    )
    assert sorted(one.status for one in made) == ["ABORT"] * 63 + ["ACCEPT"]
    assert await held(kernel, limit_id) == 1
    states = await rows(kernel, flow_run_state)
    assert sorted(one["type"] for one in states) == ["PENDING", "SCHEDULED"]
    run = await row(kernel, flow_run, id)
    accepted = next(one for one in made if one.status == "ACCEPT")
    assert accepted.validated is not None
    assert run["state_id"] == accepted.validated.id


@pytest.mark.parametrize(("strategy", "name"), [("ENQUEUE", "AwaitingConcurrencySlot"), ("CANCEL_NEW", "Cancelled")])
@pytest.mark.asyncio
async def test_racing_runs_never_hold_more_than_the_limit(kernel: FakeKernel, strategy: str, name: str) -> None:
    """Of 12 at once three get a slot and a lease; when they end, none is held."""
    limit_id, ids = await deployed(kernel, 3, 12, collision_strategy=strategy)
    anything: Any = kernel
    made = await asyncio.gather(
        *(transitions.set_state(anything, id, proposed("PENDING"), client_version=CLIENT) for id in ids)
    )
    assert sorted(one.status for one in made) == ["ACCEPT"] * 3 + ["REJECT"] * 9
    assert {one.validated.name for one in made if one.validated} == {"Pending", name}
    assert await held(kernel, limit_id) == 3
    lucky = [id for id, one in zip(ids, made, strict=True) if one.status == "ACCEPT"]
    for type in ("RUNNING", "COMPLETED"):
        kernel.clock.time += timedelta(seconds=1)
        ended = await asyncio.gather(
            *(transitions.set_state(anything, id, proposed(type), client_version=CLIENT) for id in lucky)
        )
        assert {one.status for one in ended} == {"ACCEPT"}
    assert await held(kernel, limit_id) == 0


@pytest.mark.asyncio
async def test_a_slot_goes_with_its_lease(kernel: FakeKernel) -> None:
    """From PENDING to the end the states name it; at the end both are gone."""
    limit_id, (id,) = await deployed(kernel, 1, 1)
    pending = await propose(kernel, id, "PENDING")
    assert pending.validated is not None
    lease_id = pending.validated.details["deployment_concurrency_lease_id"]
    running = await propose(kernel, id, "RUNNING")
    assert running.validated is not None
    assert running.validated.details["deployment_concurrency_lease_id"] == lease_id
    renewed = run_reads(kernel.leases.get(lease_id), nothing)
    assert renewed.expires == kernel.clock.time + timedelta(seconds=300)
    await propose(kernel, id, "CRASHED")
    assert await held(kernel, limit_id) == 0
    assert run_reads(kernel.leases.get(lease_id), nothing) is None


@pytest.mark.asyncio
async def test_what_a_refused_resume_changes_in_the_run_is_written(kernel: FakeKernel) -> None:
    """The run is marked as resuming although it stays paused."""
    id = await flow_run_row(kernel)
    for type in ("RUNNING", "PAUSED"):
        await propose(kernel, id, type)
    made = await propose(kernel, id, "PENDING")
    assert (made.status, made.validated) == ("REJECT", None)
    assert (await row(kernel, flow_run, id))["empirical_policy"]["resuming"] is True


@pytest.mark.asyncio
async def test_a_state_of_the_same_moment_is_moved(kernel: FakeKernel) -> None:
    """A clock that was set back far meets a time that is taken: the next free microsecond is used."""
    id = await flow_run_row(kernel)
    anything: Any = kernel
    for at in (NOW, NOW + timedelta(hours=1), NOW):
        kernel.clock.time = at
        await transitions.set_state(anything, id, proposed("RUNNING"))
    times = [one["timestamp"] for one in await rows(kernel, flow_run_state, flow_run_state.c.timestamp)]
    assert times == [NOW, NOW + timedelta(microseconds=1), NOW + timedelta(hours=1)]


@pytest.mark.asyncio
async def test_the_event_is_recorded_with_the_state(kernel: FakeKernel) -> None:
    """It names everything that the run relates to, as it is in the database; without listeners there is none."""
    _, (id,) = await deployed(kernel, None, 1)
    await propose(kernel, id, "PENDING")
    assert await rows(kernel, outbox) == []
    kernel.listen()
    made = await propose(kernel, id, "RUNNING")
    assert made.validated is not None
    (kept,) = await rows(kernel, outbox)
    event, run = json.loads(kept["event"]), await row(kernel, flow_run, id)
    assert (kept["id"], event["id"], event["event"]) == (made.validated.id,) * 2 + ("prefect.flow-run.Running",)
    assert [(one["prefect.resource.id"], one.get("prefect.resource.name")) for one in event["related"][1:]] == [
        (f"prefect.deployment.{run['deployment_id']}", "nightly"),
        ("prefect.tag.of-deployment", None),
        ("prefect.tag.of-flow", None),
    ]


@pytest.mark.asyncio
async def test_the_event_names_queue_pool_and_parent(kernel: FakeKernel) -> None:
    """A run in a work queue, and a subflow."""
    kernel.listen()
    pool: dict[str, Any] = {"name": "pool", "type": "process", "base_job_template": {}, "is_paused": False}
    pool_id = await insert(kernel, work_pool, **pool, status="READY", storage_configuration={})
    queue: dict[str, Any] = {"name": "default", "description": "", "is_paused": False, "priority": 1}
    queue_id = await insert(kernel, work_queue, **queue, work_pool_id=pool_id, status="READY")
    stand_in = await task_run_row(kernel, tags=["of-task"])
    await propose(kernel, await flow_run_row(kernel, work_queue_id=queue_id, parent_task_run_id=stand_in), "PENDING")
    (kept,) = await rows(kernel, outbox)
    related = json.loads(kept["event"])["related"]
    assert related[1:] == [
        {
            "prefect.resource.id": f"prefect.work-queue.{queue_id}",
            "prefect.resource.role": "work-queue",
            "prefect.resource.name": "default",
        },
        {
            "prefect.resource.id": f"prefect.work-pool.{pool_id}",
            "prefect.resource.role": "work-pool",
            "prefect.resource.name": "pool",
            "prefect.work-pool.type": "process",
        },
        {
            "prefect.resource.id": f"prefect.task-run.{stand_in}",
            "prefect.resource.role": "task-run",
            "prefect.resource.name": "add-0",
        },
        {"prefect.resource.id": "prefect.tag.of-flow", "prefect.resource.role": "tag"},
        {"prefect.resource.id": "prefect.tag.of-task", "prefect.resource.role": "tag"},
    ]
