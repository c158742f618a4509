"""Texts that one of the databases cannot hold: refused on both, in the same words, and nothing is left of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest

TRIGGER = {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0}
HERE = "@"
"""Where the text goes."""
BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("/flows/", "/flows/filter", {"name": HERE}),
    ("/flows/", "/flows/filter", {"name": "a", "tags": [HERE]}),
    ("/flows/", "/flows/filter", {"name": "a", "labels": {"a": HERE}}),
    ("/variables/", "/variables/filter", {"name": "a", "value": 1, "tags": ["x", HERE]}),
    ("/work_pools/", "/work_pools/filter", {"name": "a", "base_job_template": {"variables": {"a": HERE}}}),
    ("/automations/", "/automations/filter", {"name": HERE, "trigger": TRIGGER, "actions": []}),
    ("/automations/", "/automations/filter", {"name": "a", "trigger": TRIGGER, "actions": [], "tags": [HERE]}),
    (
        "/automations/",
        "/automations/filter",
        {"name": "a", "trigger": {**TRIGGER, "match": {"a": HERE}}, "actions": [{"type": "do-nothing"}]},
    ),
    ("/concurrency_limits/", "/concurrency_limits/filter", {"tag": HERE, "concurrency_limit": 1}),
    ("/v2/concurrency_limits/", "/v2/concurrency_limits/filter", {"name": HERE, "limit": 1}),
    ("/flows/filter", "/flows/filter", {"flows": {"name": {"any_": [HERE]}}}),
    ("/flows/filter", "/flows/filter", {"flows": {"name": {"like_": HERE}}}),
    ("/flows/filter", "/flows/filter", {"flows": {"tags": {"all_": ["a", HERE]}}}),
    ("/logs/filter", "/flows/filter", {"logs": {"text": {"query": HERE}}}),
    ("/v2/concurrency_limits/increment", "/v2/concurrency_limits/filter", {"names": ["a", HERE], "slots": 1}),
    ("/concurrency_limits/increment", "/concurrency_limits/filter", {"names": [HERE], "task_run_id": "0" * 32}),
]
WRONG = {
    '"\\ud800"': "a lone surrogate",
    '"a\\udfff\\\\"': "a lone surrogate",
    '"\\u0000"': "NUL",
    '"a\\\\\\u0000"': "NUL",
}


@pytest.mark.parametrize(
    ("path", "listed", "body"), BODIES, ids=[f"{path}-{i}" for i, (path, _, _) in enumerate(BODIES)]
)
def test_texts_that_cannot_be_stored(kernel: KernelUnderTest, path: str, listed: str, body: dict[str, Any]) -> None:
    """SQLite would take them, and lists could not be shown from then on."""
    before = kernel.client.post(listed, json={}).json()
    for text, what in WRONG.items():
        content = json.dumps(body).replace(f'"{HERE}"', text).encode()
        answer = kernel.client.post(path, json=content, headers={"content-type": "application/json"})
        assert answer.status == 422, (text, answer.text)
        told = answer.json()
        if "detail" in told:  # else a model has refused it
            assert what in told["detail"]
    after = kernel.client.post(listed, json={})
    assert (after.status, after.json()) == (200, before)


def test_texts_that_look_like_them(kernel: KernelUnderTest) -> None:
    """Backslashes that are no escapes, and characters that take two escapes."""
    value = ["\\u0000", "\\\\u0000", "\\ud800", "\U0001f4a5", {"\U0001f4a5\\u0000": "ü"}]
    made = kernel.client.post("/variables/", json={"name": "a", "value": value, "tags": ["\U0001f4a5"]})
    assert made.status == 201, made.text
    assert kernel.client.get("/variables/name/a").json()["value"] == value
    found = kernel.client.post("/variables/filter", json={"variables": {"tags": {"all_": ["\U0001f4a5"]}}})
    assert [one["name"] for one in found.json()] == ["a"]
