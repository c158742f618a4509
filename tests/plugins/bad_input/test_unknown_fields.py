"""Fields that only newer clients know: refused as Prefect does, or ignored where a setting says so."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel.testing import MakeKernel

LENIENT = {"PREFECT_KERNEL_IGNORE_UNKNOWN_FIELDS": True}
NEW: dict[str, Any] = {"name": "flow", "colour": "red", "shape": {"a": [1]}}


def test_refused_by_default(make_kernel: MakeKernel) -> None:
    """422, and where the field is."""
    answer = make_kernel().client.post("/flows/", json=NEW)
    assert answer.status == 422
    assert [one["loc"] for one in answer.json()["exception_detail"]] == [["body", "colour"], ["body", "shape"]]


def test_ignored_with_one_warning(make_kernel: MakeKernel, caplog: pytest.LogCaptureFixture) -> None:
    """The request is done without them; each field is warned about once, whoever sends it."""
    kernel = make_kernel(settings=LENIENT)
    with caplog.at_level("WARNING", "prefect_kernel.web"):
        for name in ("a", "b", "c"):
            answer = kernel.client.post("/flows/", json={**NEW, "name": name})
            assert answer.status == 201
            assert "colour" not in answer.json()
    told = [record.getMessage() for record in caplog.records]
    assert [text for text in told if "'colour'" in text] == [told[0]]
    assert len(told) == 2


def test_within_objects_and_lists(make_kernel: MakeKernel) -> None:
    """Unknown fields of objects within the body are left out, too, and everything else is kept."""
    kernel = make_kernel(settings=LENIENT)
    flow = kernel.client.post("/flows/", json={"name": "flow"}).json()["id"]
    state = {"type": "SCHEDULED", "name": "Mine", "novel": 1}
    answer = kernel.client.post("/flow_runs/", json={"flow_id": flow, "state": state, "novel": 2})
    assert answer.status == 201
    assert answer.json()["state_name"] == "Mine"
    line = {"name": "x", "level": 20, "message": "m", "timestamp": "2026-01-01T00:00:00Z", "novel": 1}
    assert kernel.client.post("/logs/", json=[line, line]).status == 201
    assert len(kernel.client.post("/logs/filter", json={}).json()) == 2


def test_within_unions(make_kernel: MakeKernel) -> None:
    """Where a field may be of several types, the one that fits but for unknown fields is taken, and kept whole."""
    kernel = make_kernel(settings=LENIENT)
    flow = kernel.client.post("/flows/", json={"name": "flow"}).json()["id"]
    schedules = [
        {"schedule": {"interval": 60, "timezone": "UTC", "novel": 1}, "active": False},
        {"schedule": {"cron": "5 4 * * *", "novel": 1}, "novel": 2},
        {"schedule": {"rrule": "FREQ=DAILY", "novel": {"a": 1}}},
    ]
    body = {"name": "d", "flow_id": flow, "schedules": schedules, "novel": 3}
    made = kernel.client.post("/deployments/", json=body)
    assert made.status == 201, made.text
    kept = [one["schedule"] for one in made.json()["schedules"]]
    assert {key for one in kept for key in ("interval", "cron", "rrule") if key in one} == {"interval", "cron", "rrule"}
    assert all("novel" not in one for one in kept)

    inner = {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0, "novel": 1}
    trigger = {"type": "compound", "require": "all", "within": 60, "triggers": [inner, inner], "novel": 1}
    automation = {"name": "a", "trigger": trigger, "actions": [{"type": "do-nothing", "novel": 1}], "novel": 1}
    made = kernel.client.post("/automations/", json=automation)
    assert made.status == 201, made.text
    assert [one["expect"] for one in made.json()["trigger"]["triggers"]] == [["x"], ["x"]]

    for wrong in ({"interval": "often", "novel": 1}, {"novel": 1}):
        answer = kernel.client.post("/deployments/", json={**body, "schedules": [{"schedule": wrong}]})
        assert answer.status == 422


def test_other_mistakes_are_still_refused(make_kernel: MakeKernel) -> None:
    """With the errors of the whole body, as it was sent."""
    answer = make_kernel(settings=LENIENT).client.post("/flows/", json={**NEW, "name": 5})
    assert answer.status == 422
    assert answer.json()["request_body"] == {**NEW, "name": 5}


@pytest.mark.parametrize("body", [[], "text", 5, None, [NEW]])
def test_bodies_of_another_shape(make_kernel: MakeKernel, body: Any) -> None:
    """They are refused as ever."""
    assert make_kernel(settings=LENIENT).client.post("/flows/", json=body).status == 422
