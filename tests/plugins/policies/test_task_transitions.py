"""Transitions of task runs in a database: what is written, what is cached, and what becomes of their flow runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel import errors
from prefect_kernel_plugins.artifacts.tables import artifact, artifact_collection
from prefect_kernel_plugins.flow_runs import transitions as flow_transitions
from prefect_kernel_plugins.flow_runs.tables import flow_run_state
from prefect_kernel_plugins.task_runs import transitions
from prefect_kernel_plugins.task_runs.tables import task_run, task_run_state, task_run_state_cache

from .proposals import propose, propose_flow, proposed
from .rows import flow_run_row, row, rows, task_run_row
from .support import NOW, RUN, FakeKernel

REFERENCE = {"type": "reference", "storage_key": "k"}


@pytest.mark.asyncio
async def test_a_life_in_states(kernel: FakeKernel) -> None:
    """Each state is a row, and the run's columns follow."""
    id = await task_run_row(kernel)
    for type in ("PENDING", "RUNNING", "COMPLETED"):
        assert (await propose(kernel, id, type)).status == "ACCEPT"
    run, states = await row(kernel, task_run, id), await rows(kernel, task_run_state, task_run_state.c.timestamp)
    assert [one["type"] for one in states] == ["PENDING", "RUNNING", "COMPLETED"]
    assert {one["task_run_id"] for one in states} == {id}
    assert (run["state_id"], run["state_type"], run["state_name"]) == (states[2]["id"], "COMPLETED", "Completed")
    assert (run["expected_start_time"], run["start_time"], run["end_time"]) == (
        NOW + timedelta(seconds=1),
        NOW + timedelta(seconds=2),
        NOW + timedelta(seconds=3),
    )
    assert (run["total_run_time"], run["run_count"]) == (timedelta(seconds=1), 1)
    assert run["updated"] == run["state_timestamp"] == NOW + timedelta(seconds=3)
    assert states[2]["state_details"]["task_run_id"] == id


@pytest.mark.asyncio
async def test_a_run_that_is_not_there(kernel: FakeKernel) -> None:
    """The error names it."""
    with pytest.raises(errors.ObjectNotFound, match=f"Task run with id {RUN} not found"):
        await propose(kernel, RUN, "PENDING")


@pytest.mark.asyncio
async def test_results_are_artifacts(kernel: FakeKernel) -> None:
    """Data that is kept is a row that the state refers to; some of it describes the artifact and is not data."""
    flow_run_id = await flow_run_row(kernel)
    id = await task_run_row(kernel, flow_run_id=flow_run_id)
    described = {"artifact_key": "report", "artifact_type": "result", "artifact_description": "d", "a": 1}
    made = await propose(kernel, id, "COMPLETED", data=described, policy="minimal-task")
    assert made.validated is not None
    assert made.validated.data == {"a": 1}
    (kept,) = await rows(kernel, artifact)
    shown = {key: kept[key] for key in ("key", "type", "description", "data", "task_run_id", "flow_run_id")}
    expected = {"key": "report", "type": "result", "description": "d", "data": {"a": 1}}
    assert shown == expected | {"task_run_id": id, "flow_run_id": flow_run_id}
    (state,) = await rows(kernel, task_run_state)
    assert (state["result_artifact_id"], state["data"]) == (kept["id"], None)
    (latest,) = await rows(kernel, artifact_collection)
    assert (latest["key"], latest["latest_id"], latest["data"]) == ("report", kept["id"], {"a": 1})


@pytest.mark.asyncio
async def test_the_latest_result_of_a_key(kernel: FakeKernel) -> None:
    """A second one takes its place, and keeps what it leaves open."""
    for data in (
        {"artifact_key": "report", "artifact_type": "table", "a": 1},
        {"artifact_key": "report", "artifact_description": "d", "a": 2},
    ):
        await propose(kernel, await task_run_row(kernel), "COMPLETED", data=data)
    (latest,) = await rows(kernel, artifact_collection)
    newest = next(one for one in await rows(kernel, artifact) if one["data"] == {"a": 2})
    assert (latest["latest_id"], latest["data"]) == (newest["id"], {"a": 2})
    assert (latest["type"], latest["description"]) == ("table", "d")


@pytest.mark.parametrize("data", [None, {"type": "unpersisted"}])
@pytest.mark.asyncio
async def test_what_is_not_kept(kernel: FakeKernel, data: Any) -> None:
    """Unpersisted data is answered, and not stored."""
    made = await propose(kernel, await task_run_row(kernel), "COMPLETED", data=data)
    assert made.validated is not None
    assert made.validated.data == data
    assert await rows(kernel, artifact) == []


@pytest.mark.asyncio
async def test_the_result_is_known_when_the_run_is_judged_again(kernel: FakeKernel) -> None:
    """The snapshot holds it, so a completed run with a result stays."""
    id = await task_run_row(kernel)
    await propose(kernel, id, "COMPLETED", data=REFERENCE)
    again = await propose(kernel, id, "RUNNING")
    assert (again.status, again.details["reason"]) == ("REJECT", "This run is already completed.")


@pytest.mark.asyncio
async def test_what_a_rejection_changes_in_the_run_is_written(kernel: FakeKernel) -> None:
    """Also without a new state. (Here: nothing but the time of the change stays as it was.)"""
    id = await task_run_row(kernel, run_count=3)
    await propose(kernel, id, "FAILED")
    before = await row(kernel, task_run, id)
    made = await propose(kernel, id, "CRASHED")
    assert made.status == "ABORT"
    assert await row(kernel, task_run, id) == before


@pytest.mark.asyncio
async def test_a_clock_that_stands_still_makes_no_two_equal_times(kernel: FakeKernel) -> None:
    """The later state is a microsecond later."""
    id = await task_run_row(kernel)
    anything: Any = kernel
    for type in ("PENDING", "RUNNING"):
        await transitions.set_state(anything, id, proposed(type))
    times = [one["timestamp"] for one in await rows(kernel, task_run_state, task_run_state.c.timestamp)]
    assert times == [NOW, NOW + timedelta(microseconds=1)]


@pytest.mark.asyncio
async def test_of_clients_that_race_one_wins(kernel: FakeKernel) -> None:
    """Of 16 that propose to leave PENDING for RUNNING, each is judged on what the one before it has left."""
    id = await task_run_row(kernel)
    await propose(kernel, id, "PENDING", policy="background-task", deferred=True)
    anything: Any = kernel
    kernel.clock.time += timedelta(seconds=1)
    racing = [transitions.set_state(anything, id, proposed("PENDING", deferred=True)) for _ in range(8)]
    racing += [transitions.set_state(anything, id, proposed("CANCELLED", "Mine", deferred=True)) for _ in range(8)]
    outcomes = [made.status for made in await asyncio.gather(*racing)]
    assert outcomes[:8] == ["ABORT"] * 8
    states = await rows(kernel, task_run_state)
    assert len(states) == 1 + outcomes.count("ACCEPT")
    run = await row(kernel, task_run, id)
    assert run["state_id"] == max(states, key=lambda one: one["timestamp"])["id"]


# ---------------------------------------------------------------- caching
@pytest.mark.asyncio
async def test_a_cached_state_is_taken_instead_of_running(kernel: FakeKernel) -> None:
    """With its data, as a new state of the run, named "Cached"."""
    await propose(kernel, await task_run_row(kernel), "COMPLETED", data=REFERENCE, message="m", cache_key="k")
    id = await task_run_row(kernel)
    made = await propose(kernel, id, "RUNNING", cache_key="k")
    assert (made.status, made.details["reason"]) == ("REJECT", "Retrieved state from cache")
    assert made.validated is not None
    assert (made.validated.type, made.validated.name) == ("COMPLETED", "Cached")
    assert (made.validated.message, made.validated.data) == ("m", REFERENCE)
    assert made.validated.details["task_run_id"] == id
    assert made.validated.timestamp == kernel.clock.time
    run = await row(kernel, task_run, id)
    assert (run["state_type"], run["run_count"]) == ("COMPLETED", 0)
    assert len(await rows(kernel, task_run_state_cache)) == 1


@pytest.mark.parametrize(
    ("stored", "asked", "found"),
    [
        ({"cache_key": "k"}, {"cache_key": "l"}, False),
        ({"cache_key": "k"}, {"cache_key": "k", "refresh_cache": True}, False),
        ({"cache_key": "k"}, {"cache_key": "k", "refresh_cache": False}, True),
        ({"cache_key": "k"}, {}, False),
        ({"cache_key": "k", "cache_expiration": NOW + timedelta(seconds=2)}, {"cache_key": "k"}, False),
        ({"cache_key": "k", "cache_expiration": NOW + timedelta(seconds=3)}, {"cache_key": "k"}, True),
    ],
)
@pytest.mark.asyncio
async def test_what_is_found_in_the_cache(kernel: FakeKernel, stored: Any, asked: Any, found: bool) -> None:
    """The same key, not expired (it is asked two seconds after NOW), and not to be refreshed."""
    await propose(kernel, await task_run_row(kernel), "COMPLETED", **stored)
    made = await propose(kernel, await task_run_row(kernel), "RUNNING", **asked)
    assert (made.status == "REJECT") is found


@pytest.mark.asyncio
async def test_the_newest_of_a_key_is_taken(kernel: FakeKernel) -> None:
    """The cache keeps all, in order."""
    for message in ("old", "new"):
        await propose(kernel, await task_run_row(kernel), "COMPLETED", message=message, cache_key="k")
    made = await propose(kernel, await task_run_row(kernel), "RUNNING", cache_key="k")
    assert made.validated is not None
    assert made.validated.message == "new"


# ---------------------------------------------------------------- with flow runs
@pytest.mark.asyncio
async def test_the_rules_see_the_flow_run(kernel: FakeKernel) -> None:
    """Its state decides, and its attempt is remembered."""
    flow_run_id = await flow_run_row(kernel)
    id = await task_run_row(kernel, flow_run_id=flow_run_id)
    assert (await propose(kernel, id, "RUNNING")).status == "ABORT"
    await propose_flow(kernel, flow_run_id, "RUNNING")
    assert (await propose(kernel, id, "RUNNING")).status == "ACCEPT"
    run = await row(kernel, task_run, id)
    assert run["flow_run_run_count"] == 1


@pytest.mark.asyncio
async def test_the_task_run_of_a_subflow_follows_it(kernel: FakeKernel) -> None:
    """In the same transaction, with the same data, and naming the subflow."""
    parent = await flow_run_row(kernel)
    stand_in = await task_run_row(kernel, flow_run_id=parent)
    subflow = await flow_run_row(kernel, parent_task_run_id=stand_in)
    await propose_flow(kernel, subflow, "RUNNING")
    made = await propose_flow(
        kernel, subflow, "COMPLETED", data={"artifact_key": "report", "a": 1}, message="m", cache_key="c"
    )
    assert made.validated is not None
    assert made.validated.details["task_run_id"] == stand_in
    run = await row(kernel, task_run, stand_in)
    mirrored = await row(kernel, task_run_state, run["state_id"])
    assert (mirrored["type"], mirrored["name"], mirrored["message"]) == ("COMPLETED", "Completed", "m")
    assert mirrored["id"] != made.validated.id
    details = mirrored["state_details"]
    assert (details["flow_run_id"], details["task_run_id"], details["child_flow_run_id"], details["cache_key"]) == (
        parent,
        stand_in,
        subflow,
        "c",
    )
    assert (run["run_count"], run["state_type"], run["end_time"]) == (1, "COMPLETED", made.validated.timestamp)
    kept = {(one["flow_run_id"], one["task_run_id"], one["key"]): one["data"] for one in await rows(kernel, artifact)}
    assert kept == {(subflow, None, "report"): {"a": 1}, (parent, stand_in, None): {"a": 1}}


@pytest.mark.asyncio
async def test_a_subflow_whose_task_run_changes_meanwhile_is_decided_again(kernel: FakeKernel) -> None:
    """Both runs' rows are guarded: racing transitions of the two leave neither behind."""
    parent = await flow_run_row(kernel)
    stand_in = await task_run_row(kernel, flow_run_id=parent)
    subflow = await flow_run_row(kernel, parent_task_run_id=stand_in)
    anything: Any = kernel
    racing: list[Any] = [flow_transitions.set_state(anything, subflow, proposed("RUNNING")) for _ in range(6)]
    racing += [
        transitions.set_state(anything, stand_in, proposed("RUNNING", "Other"), policy="minimal-task") for _ in range(6)
    ]
    await asyncio.gather(*racing)
    assert len(await rows(kernel, flow_run_state)) == 6
    states = await rows(kernel, task_run_state)
    run = await row(kernel, task_run, stand_in)
    assert (len(states), run["run_count"]) == (12, 12)
    assert run["state_id"] == max(states, key=lambda one: one["timestamp"])["id"]


@pytest.mark.asyncio
async def test_old_clients_have_failed_task_runs_reset(kernel: FakeKernel) -> None:
    """A flow run that they retry takes its failed task runs along, with their counts at zero."""
    policy = {"retries": 1, "retry_delay": 5}
    flow_run_id = await flow_run_row(kernel, empirical_policy=policy)
    failed = await task_run_row(kernel, flow_run_id=flow_run_id)
    done = await task_run_row(kernel, flow_run_id=flow_run_id)
    await propose_flow(kernel, flow_run_id, "RUNNING")
    for id, type in ((failed, "FAILED"), (done, "COMPLETED")):
        await propose(kernel, id, "RUNNING")
        await propose(kernel, id, type)
    kernel.clock.time += timedelta(seconds=1)
    anything: Any = kernel
    await flow_transitions.set_state(anything, flow_run_id, proposed("FAILED"), api_version=(0, 8, 2))
    run = await row(kernel, task_run, failed)
    assert (run["state_type"], run["state_name"], run["run_count"]) == ("SCHEDULED", "AwaitingRetry", 0)
    assert run["next_scheduled_start_time"] == kernel.clock.time + timedelta(seconds=5)
    assert (await row(kernel, task_run, done))["state_type"] == "COMPLETED"
