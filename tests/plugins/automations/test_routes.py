"""The routes of automations: what is taken, what is refused, and what is told."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest

TRIGGER = {"type": "event", "posture": "Reactive", "expect": ["a", "b"], "within": 5}


def make(kernel: KernelUnderTest, **fields: Any) -> dict[str, Any]:
    """Make an automation."""
    body = {"name": "one", "trigger": TRIGGER, "actions": [{"type": "do-nothing"}], **fields}
    answer = kernel.client.post("/automations/", json=body)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_an_automation_comes_back(kernel: KernelUnderTest) -> None:
    """With defaults, in the order of the reference, the same when read."""
    made = make(kernel)
    assert kernel.client.get(f"/automations/{made['id']}").json() == made
    assert list(made) == (
        "name description enabled tags trigger actions actions_on_trigger actions_on_resolve id created updated".split()
    )
    assert made["trigger"] == {
        "type": "event",
        "id": made["trigger"]["id"],
        "match": {},
        "match_related": {},
        "after": [],
        "expect": ["a", "b"],
        "for_each": [],
        "posture": "Reactive",
        "threshold": 1,
        "within": 5.0,
    }
    (event,) = kernel.events
    assert (event["event"], event["payload"]) == ("prefect.automation.created", made)


def test_a_put_gives_new_ids_and_keeps_what_was_not_given(kernel: KernelUnderTest) -> None:
    """Members that are left out stay as they are; triggers begin anew."""
    made = make(kernel, tags=["t"], description="d", enabled=False)
    body = {"name": "two", "trigger": {**TRIGGER, "id": made["trigger"]["id"]}, "actions": []}
    assert kernel.client.put(f"/automations/{made['id']}", json=body).status == 204
    found = kernel.client.get(f"/automations/{made['id']}").json()
    assert (found["name"], found["tags"], found["description"], found["enabled"]) == ("two", ["t"], "d", False)
    assert found["trigger"]["id"] != made["trigger"]["id"]
    assert found["actions"] == []


def test_what_is_nested_too_deeply_is_refused(kernel: KernelUnderTest) -> None:
    """It cannot be shown again; nothing is stored."""
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    action = {"type": "run-deployment", "source": "inferred", "parameters": {"a": deep}}
    body = {"name": "one", "trigger": TRIGGER, "actions": [action]}
    answer = kernel.client.post("/automations/", json=body)
    assert answer.status == 422
    assert "nested" in answer.text
    made = make(kernel)
    assert kernel.client.put(f"/automations/{made['id']}", json=body).status == 422
    assert kernel.client.post("/automations/filter", json={}).json() == [made]


def test_relations_follow_the_actions(kernel: KernelUnderTest) -> None:
    """Selected deployments are related; what an owner has goes with it."""
    deployment = uuid4()
    run = [{"type": "run-deployment", "deployment_id": deployment}]
    owned = make(kernel, actions=run, owner_resource="boss")
    other = make(kernel, name="other", actions=run)

    def related(resource: str) -> set[str]:
        return {one["id"] for one in kernel.client.get(f"/automations/related-to/{resource}").json()}

    assert related(f"prefect.deployment.{deployment}") == {owned["id"], other["id"]}
    assert related("boss") == {owned["id"]}
    body = {"name": "other", "trigger": TRIGGER, "actions": []}
    assert kernel.client.put(f"/automations/{other['id']}", json=body).status == 204
    assert related(f"prefect.deployment.{deployment}") == {owned["id"]}
    assert kernel.client.delete("/automations/owned-by/boss").status == 202
    assert kernel.client.get(f"/automations/{owned['id']}").status == 404
    assert kernel.client.get(f"/automations/{other['id']}").status == 200


def test_an_automation_that_would_loop_cannot_be_enabled(kernel: KernelUnderTest) -> None:
    """It may exist disabled; enabling it is refused, and changes nothing."""
    loop = {"type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.*"]}
    run = [{"type": "run-deployment", "source": "inferred"}]
    made = make(kernel, trigger=loop, actions=run, enabled=False)
    path = f"/automations/{made['id']}"
    refused = kernel.client.patch(path, json={"enabled": True})
    assert refused.status == 422
    assert "infinite loop" in refused.json()["exception_detail"][0]["msg"]
    assert kernel.client.get(path).json() == made


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"actions": [{"type": "send-notification", "block_document_id": uuid4(), "body": "{{ a"}]}, "body"),
        ({"actions": [{"type": "pause-deployment"}]}, "function-after[selected_deployment_requires_id(), Pause"),
        ({"trigger": {"posture": "Proactive", "within": 9}}, "EventTrigger"),
        ({"trigger": {"type": "compound", "triggers": [TRIGGER], "within": None, "require": 2}}, "Compound"),
        ({"trigger": {**TRIGGER, "within": 1e300}}, "within"),
        ({"name": None}, "name"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_is_refused(kernel: KernelUnderTest, fields: dict[str, Any], where: str) -> None:
    """The answer names the place, and nothing is stored."""
    body = {"name": "one", "trigger": TRIGGER, "actions": [{"type": "do-nothing"}], **fields}
    answer = kernel.client.post("/automations/", json=body)
    assert answer.status == 422, answer.text
    assert where in answer.text
    assert kernel.client.post("/automations/count", json={}).json() == 0


def test_templates_are_checked(kernel: KernelUnderTest) -> None:
    """Under both paths; the answer tells the line."""
    for path in ("/templates/validate", "/automations/templates/validate"):
        assert kernel.client.post(path, json="{{ a }}").status == 204
        wrong = kernel.client.post(path, json="\n{{ a")
        assert (wrong.status, wrong.json()["error"]["line"]) == (422, 2)
