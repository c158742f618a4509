"""Sixty-four clients propose states to the same run."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.races.crowd import CLIENTS, Crowd, verdicts


def propose(run_id: str, type: str, *, kind: str = "flow_runs", **state: Any) -> tuple[str, str, Any]:
    """A request that proposes a state."""
    return "POST", f"/{kind}/{run_id}/set_state", {"state": {"type": type, **state}}


def test_one_worker_gets_a_scheduled_run(crowd: Crowd) -> None:
    """Of 64 workers that take a scheduled run, exactly one is accepted, and the others are told to leave it alone."""
    run = crowd.run(state={"type": "SCHEDULED"})
    answers = crowd.rush(*[propose(run, "PENDING")] * CLIENTS)
    assert verdicts(answers) == {"ACCEPT": 1, "ABORT": CLIENTS - 1}
    assert crowd.states(run) == ["Scheduled", "Pending"]
    accepted = next(a.json()["state"]["id"] for a in answers if a.json()["status"] == "ACCEPT")
    assert crowd.get(f"/flow_runs/{run}")["state_id"] == accepted
    assert {a.json()["state"]["id"] for a in answers} == {accepted}


def test_a_repeated_transition_is_made_once(crowd: Crowd) -> None:
    """One transition, sent 64 times (as a client does that gets no answer), happens once; all learn its state."""
    run = crowd.run()
    transition = str(uuid4())
    answers = crowd.rush(*[propose(run, "RUNNING", state_details={"transition_id": transition})] * CLIENTS)
    assert verdicts(answers) == {"ACCEPT": 1, "REJECT": CLIENTS - 1}
    assert crowd.states(run) == ["Pending", "Running"]
    assert len({a.json()["state"]["id"] for a in answers}) == 1
    assert crowd.get(f"/flow_runs/{run}")["run_count"] == 1


def test_different_transitions_are_all_made(crowd: Crowd) -> None:
    """64 different transitions to RUNNING are all allowed, one after the other: no state and no count is lost."""
    run = crowd.run()
    proposals = [propose(run, "RUNNING", state_details={"transition_id": str(uuid4())}) for _ in range(CLIENTS)]
    answers = crowd.rush(*proposals)
    assert verdicts(answers) == {"ACCEPT": CLIENTS}
    assert crowd.states(run) == ["Pending", *["Running"] * CLIENTS]
    read = crowd.get(f"/flow_runs/{run}")
    assert read["run_count"] == CLIENTS
    states = crowd.database.select("flow_run_state", {"flow_run_id": run}, "timestamp")
    assert len({state["timestamp"] for state in states}) == CLIENTS + 1
    assert read["state_id"] == states[-1]["id"]
    running = [datetime.fromisoformat(state["timestamp"]) for state in states if state["type"] == "RUNNING"]
    assert read["total_run_time"] == pytest.approx((running[-1] - running[0]).total_seconds(), abs=1e-5)


def test_one_end_is_reached(crowd: Crowd) -> None:
    """A run that is completed with a result and cancelled at once ends once; the others see that end."""
    run = crowd.run(state={"type": "RUNNING"})
    data = {"type": "reference", "storage_key": "k"}
    ends = [propose(run, "COMPLETED", data=data), propose(run, "CANCELLING")] * (CLIENTS // 2)
    answers = crowd.rush(*ends)
    given = verdicts(answers)
    names = crowd.states(run)
    assert given["ACCEPT"] == len(names) - 1
    assert set(given) <= {"ACCEPT", "ABORT", "REJECT"}
    assert crowd.get(f"/flow_runs/{run}")["state_name"] == names[-1]
    assert crowd.recorded_events(run) == len(names)


def test_task_runs_race_like_flow_runs(crowd: Crowd) -> None:
    """Of 64 proposals to complete a task run with a result, one is accepted."""
    flow_run = crowd.run(state={"type": "RUNNING"})
    body = {"flow_run_id": flow_run, "task_key": "k", "dynamic_key": "0", "state": {"type": "RUNNING"}}
    task = crowd.post("/task_runs/", body)["id"]
    data = {"type": "reference", "storage_key": "k"}
    answers = crowd.rush(*[propose(task, "COMPLETED", kind="task_runs", data=data)] * CLIENTS)
    given = verdicts(answers)
    assert crowd.states(task, "task_run_state").count("Completed") == given["ACCEPT"]
    rejected = [a.json() for a in answers if a.json()["status"] == "REJECT"]
    assert {answer["details"]["reason"] for answer in rejected} <= {"This run is already completed."}
    assert given["ACCEPT"] >= 1


def test_limited_runs_get_exactly_the_slots(crowd: Crowd) -> None:
    """With a limit of 5, 5 of 64 runs of a deployment become pending, the others wait; the ends give all slots back."""
    flow, deployment, limit = crowd.limited_deployment(5)
    runs = [crowd.run(flow_id=flow, deployment_id=deployment, state={"type": "SCHEDULED"}) for _ in range(CLIENTS)]
    answers = crowd.rush(*[propose(run, "PENDING") for run in runs])
    assert verdicts(answers) == {"ACCEPT": 5, "REJECT": CLIENTS - 5}
    assert crowd.active_slots(limit) == 5
    assert {a.json()["state"]["name"] for a in answers if a.json()["status"] == "REJECT"} == {"AwaitingConcurrencySlot"}
    admitted = [run for run, answer in zip(runs, answers, strict=True) if answer.json()["status"] == "ACCEPT"]
    # Each end is told by several at once, and must give back one slot.
    answers = crowd.rush(*[propose(run, "COMPLETED") for run in admitted for _ in range(6)])
    verdicts(answers)
    assert crowd.active_slots(limit) == 0


def test_slots_are_not_leaked_when_ends_and_starts_race(crowd: Crowd) -> None:
    """While runs end and others begin, never more slots are taken than there are, and in the end none is left over."""
    flow, deployment, limit = crowd.limited_deployment(3)
    runs = [crowd.run(flow_id=flow, deployment_id=deployment, state={"type": "SCHEDULED"}) for _ in range(12)]

    async def live(client: Any, number: int) -> None:
        run = runs[number % len(runs)]
        for type in ("PENDING", "RUNNING", "COMPLETED", "SCHEDULED", "PENDING", "CRASHED"):
            answer = await client.post(f"/flow_runs/{run}/set_state", json={"state": {"type": type}})
            assert answer.status_code in (200, 201), answer.text

    crowd.together(36, live)
    crowd.rush(*[propose(run, "COMPLETED") for run in runs])
    holding = [crowd.get(f"/flow_runs/{run}")["state_type"] for run in runs]
    held = sum(type in ("PENDING", "RUNNING", "CANCELLING") for type in holding)
    assert crowd.active_slots(limit) == held
