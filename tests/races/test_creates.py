"""Sixty-four clients create, label and delete at the same time."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.races.crowd import CLIENTS, Crowd


def statuses(answers: list[Any]) -> Counter[int]:
    """How often each status was answered."""
    return Counter(answer.status_code for answer in answers)


def test_one_flow_per_name(crowd: Crowd) -> None:
    """64 clients register one name: one flow is made, and all get it."""
    answers = crowd.rush(*[("POST", "/flows/", {"name": "one", "tags": ["a"]})] * CLIENTS)
    assert statuses(answers) == {201: 1, 200: CLIENTS - 1}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(crowd.database.select("flow", {"name": "one"})) == 1


def test_one_run_per_idempotency_key(crowd: Crowd) -> None:
    """64 creates with one idempotency key make one run with one state."""
    body = {"flow_id": crowd.flow(), "idempotency_key": "key", "state": {"type": "SCHEDULED"}}
    answers = crowd.rush(*[("POST", "/flow_runs/", body)] * CLIENTS)
    assert statuses(answers) == {201: 1, 200: CLIENTS - 1}
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 1
    assert crowd.states(ids.pop()) == ["Scheduled"]
    assert len(crowd.database.select("flow_run", {"flow_id": body["flow_id"]})) == 1


def test_one_task_run_per_keys(crowd: Crowd) -> None:
    """64 creates with one flow run, task key and dynamic key make one task run with one state."""
    body = {"flow_run_id": crowd.run(), "task_key": "task", "dynamic_key": "0"}
    answers = crowd.rush(*[("POST", "/task_runs/", body)] * CLIENTS)
    assert statuses(answers) == {201: 1, 200: CLIENTS - 1}
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 1
    assert crowd.states(ids.pop(), "task_run_state") == ["Pending"]


def test_no_label_is_lost(crowd: Crowd) -> None:
    """64 clients add a label each: all are there."""
    run = crowd.run(labels={"first": 1})
    answers = crowd.rush(*[("PATCH", f"/flow_runs/{run}/labels", {f"label-{n}": n}) for n in range(CLIENTS)])
    assert statuses(answers) == {204: CLIENTS}
    labels = crowd.get(f"/flow_runs/{run}")["labels"]
    assert {name: value for name, value in labels.items() if name.startswith("label-")} == {
        f"label-{n}": n for n in range(CLIENTS)
    }
    assert labels["first"] == 1


def test_labels_and_states_do_not_undo_each_other(crowd: Crowd) -> None:
    """Labels, other changes and states of one run, all at once: each leaves the others' columns alone."""
    run = crowd.run(state={"type": "RUNNING"})
    requests: list[tuple[str, str, Any]] = []
    for n in range(16):
        requests += [
            ("PATCH", f"/flow_runs/{run}/labels", {f"label-{n}": n}),
            ("PATCH", f"/flow_runs/{run}", {"tags": ["patched"]}),
            ("PATCH", f"/flow_runs/{run}", {"flow_version": "patched"}),
            ("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING", "name": f"Running {n}"}}),
        ]
    answers = crowd.rush(*requests)
    assert statuses(answers) == {204: 48, 201: 16}
    read = crowd.get(f"/flow_runs/{run}")
    assert {f"label-{n}" for n in range(16)} <= read["labels"].keys()
    assert (read["tags"], read["flow_version"], read["run_count"]) == (["patched"], "patched", 17)
    assert len(crowd.states(run)) == 17


def test_one_input_per_key(crowd: Crowd) -> None:
    """Of 64 inputs under one key of a run one is stored, and the others hear that it is taken."""
    run = crowd.run()
    answers = crowd.rush(*[("POST", f"/flow_runs/{run}/input", {"key": "k", "value": str(n)}) for n in range(CLIENTS)])
    assert statuses(answers) == {201: 1, 409: CLIENTS - 1}
    stored = crowd.database.select("flow_run_input", {"flow_run_id": run})
    assert [row["value"] for row in stored] == [str(next(n for n, a in enumerate(answers) if a.status_code == 201))]


def test_deleting_while_it_changes(crowd: Crowd) -> None:
    """A run that is deleted while others change it is gone once, and nothing of it stays behind."""
    flow, deployment, limit = crowd.limited_deployment(CLIENTS)
    run = crowd.run(flow_id=flow, deployment_id=deployment, state={"type": "SCHEDULED"})
    requests: list[tuple[str, str, Any]] = []
    for n in range(16):
        requests += [
            ("DELETE", f"/flow_runs/{run}", None),
            ("PATCH", f"/flow_runs/{run}/labels", {f"label-{n}": n}),
            ("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}}),
            ("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}}),
        ]
    answers = crowd.rush(*requests)
    assert statuses(answers[0::4])[204] == 1
    assert set(statuses(answers)) <= {200, 201, 204, 404}
    assert crowd.database.select("flow_run", {"id": run}) == []
    assert crowd.states(run) == []
    assert crowd.active_slots(limit) == 0
