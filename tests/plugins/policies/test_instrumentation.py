"""The event of a flow run's transition, as Prefect 3.8.8 emits it for the same transition."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel_plugins.policies.rules.instrumentation import (
    InstrumentFlowRunStateTransitions,
    related_resources,
    truncated,
)

from .support import DEPLOYMENT, FLOW, NOW, PARENT, RUN, FakeKernel, flow_run, judged, move, state

QUEUE = "019a0000-0000-7000-8000-00000000000a"
POOL = "019a0000-0000-7000-8000-00000000000b"
NAMES = ("etl", ["ft", "zz"], "dep", ["dt", "ft"], "default", POOL, "pool", "process", None, None)
NO_NAMES = ("etl", ["ft"], None, None, None, None, None, None, None, None)


def told(initial: Any, proposed: Any, row: Any = NO_NAMES, **columns: Any) -> dict[str, Any]:
    """The event of a transition."""
    kernel = FakeKernel()
    kernel.listen()
    made = move(initial, proposed, run=flow_run(**columns), kernel=kernel, context={"related": row})
    judged(made, [InstrumentFlowRunStateTransitions])
    (event,) = made.events
    return event


def test_the_event_of_a_deployed_run() -> None:
    """Every field and label, and everything that it relates to, in order."""
    initial = state("PENDING")
    proposed = state("RUNNING", message="go")
    columns = {"deployment_id": DEPLOYMENT, "work_queue_id": QUEUE, "tags": ["rt"], "run_count": 3}
    assert told(initial, proposed, NAMES, **columns) == {
        "occurred": NOW,
        "event": "prefect.flow-run.Running",
        "resource": {
            "prefect.resource.id": f"prefect.flow-run.{RUN}",
            "prefect.resource.name": "swift-otter",
            "prefect.run-count": "3",
            "prefect.state-message": "go",
            "prefect.state-name": "Running",
            "prefect.state-timestamp": "2026-03-04T05:06:07.890123+00:00",
            "prefect.state-type": "RUNNING",
        },
        "related": [
            {
                "prefect.resource.id": f"prefect.flow.{FLOW}",
                "prefect.resource.role": "flow",
                "prefect.resource.name": "etl",
            },
            {
                "prefect.resource.id": f"prefect.deployment.{DEPLOYMENT}",
                "prefect.resource.role": "deployment",
                "prefect.resource.name": "dep",
            },
            {
                "prefect.resource.id": f"prefect.work-queue.{QUEUE}",
                "prefect.resource.role": "work-queue",
                "prefect.resource.name": "default",
            },
            {
                "prefect.resource.id": f"prefect.work-pool.{POOL}",
                "prefect.resource.role": "work-pool",
                "prefect.resource.name": "pool",
                "prefect.work-pool.type": "process",
            },
            *(
                {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
                for tag in ("dt", "ft", "rt", "zz")
            ),
        ],
        "payload": {
            "intended": {"from": "PENDING", "to": "RUNNING"},
            "initial_state": {"type": "PENDING", "name": "Pending"},
            "validated_state": {"type": "RUNNING", "name": "Running", "message": "go"},
        },
        "id": proposed.id,
        "follows": initial.id,
    }


def test_a_first_state() -> None:
    """There is nothing that it follows."""
    event = told(None, state("SCHEDULED"))
    assert event["follows"] is None
    assert event["payload"]["intended"] == {"from": None, "to": "SCHEDULED"}
    assert event["payload"]["initial_state"] is None
    assert event["resource"]["prefect.state-message"] == ""


def test_paused_states_tell_whether_the_process_ended() -> None:
    """Both in the state before and in the one after."""
    before = state("RUNNING")
    paused = told(before, state("PAUSED", "Suspended", pause_reschedule=True))
    assert paused["payload"]["validated_state"] == {"type": "PAUSED", "name": "Suspended", "pause_reschedule": "true"}
    left = told(state("PAUSED"), state("RUNNING"))
    assert left["payload"]["initial_state"] == {"type": "PAUSED", "name": "Paused", "pause_reschedule": "false"}


@pytest.mark.parametrize(("ago", "tied"), [(299.9, True), (300, False), (-299.9, True), (-300, False)])
def test_only_states_close_in_time_are_tied(ago: float, tied: bool) -> None:
    """Less than five minutes apart, in either direction."""
    initial = state("PENDING", ago=ago)
    assert told(initial, state("RUNNING"))["follows"] == (initial.id if tied else None)


def test_the_replacement_is_told_not_the_proposal() -> None:
    """`intended` names the type that was committed."""
    kernel = FakeKernel()
    kernel.listen()
    run = flow_run(run_count=1)
    run["empirical_policy"] |= {"retries": 1}
    made = move(state("RUNNING"), state("FAILED"), run=run, kernel=kernel)
    judged(made, "core-flow", with_global=True)
    (event,) = made.events
    assert event["event"] == "prefect.flow-run.AwaitingRetry"
    assert event["payload"]["intended"] == {"from": "RUNNING", "to": "SCHEDULED"}


def test_the_run_is_told_as_it_is_afterwards() -> None:
    """The count of attempts includes the one that begins."""
    kernel = FakeKernel()
    kernel.listen()
    made = move(state("PENDING"), state("RUNNING"), kernel=kernel)
    judged(made, "core-flow", with_global=True)
    assert made.events[0]["resource"]["prefect.run-count"] == "1"


def test_nothing_is_told_when_nothing_is_committed_or_nobody_listens() -> None:
    """Events are for new states, and for those who take them."""
    kernel = FakeKernel()
    judged(made := move(state("PENDING"), state("RUNNING"), kernel=kernel), "core-flow", with_global=True)
    assert made.events == []
    kernel.listen()
    waits = move(state("SCHEDULED", scheduled_time=NOW + timedelta(hours=1)), state("RUNNING"), kernel=kernel)
    judged(waits, "core-flow", with_global=True)
    assert (waits.status, waits.events) == ("WAIT", [])


def test_a_subflow_relates_to_its_task_run() -> None:
    """With that run's tags."""
    row = ("etl", ["ft"], None, None, None, None, None, None, "sub-0", ["tt"])
    event = told(None, state("PENDING"), row, parent_task_run_id=PARENT)
    assert event["related"][1:] == [
        {
            "prefect.resource.id": f"prefect.task-run.{PARENT}",
            "prefect.resource.role": "task-run",
            "prefect.resource.name": "sub-0",
        },
        {"prefect.resource.id": "prefect.tag.ft", "prefect.resource.role": "tag"},
        {"prefect.resource.id": "prefect.tag.tt", "prefect.resource.role": "tag"},
    ]


@pytest.mark.parametrize(
    ("created_by", "creator"),
    [
        (None, []),
        ({"type": "SCHEDULE", "id": PARENT, "display_value": "x"}, []),
        (
            {"type": "DEPLOYMENT", "id": PARENT, "display_value": "d"},
            [
                {
                    "prefect.resource.id": f"prefect.deployment.{PARENT}",
                    "prefect.resource.role": "creator",
                    "prefect.resource.name": "d",
                }
            ],
        ),
        (
            {"type": "AUTOMATION", "id": PARENT, "display_value": None},
            [{"prefect.resource.id": f"prefect.automation.{PARENT}", "prefect.resource.role": "creator"}],
        ),
    ],
)
def test_who_made_the_run(created_by: Any, creator: list[dict[str, str]]) -> None:
    """Deployments and automations are related as creators."""
    assert related_resources(flow_run(created_by=created_by), None) == creator


@pytest.mark.parametrize(
    ("length", "told_length", "number"), [(100_000, 100_000, None), (100_020, 100_020, None), (100_500, 100_030, 31)]
)
def test_long_messages_lose_their_middle(length: int, told_length: int, number: int | None) -> None:
    """Lengths and number are those that Prefect 3.8.8 was seen to emit."""
    text = truncated("x" * length)
    assert len(text) == told_length
    if number is not None:
        assert f"...{number} additional characters..." in text
