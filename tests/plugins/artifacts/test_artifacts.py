"""Artifacts: every one, the latest of each key, and what events tell of it."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest


def make(kernel: KernelUnderTest, **body: Any) -> dict[str, Any]:
    """Make an artifact."""
    answer = kernel.client.post("/artifacts/", json=body)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_an_artifact_comes_back(kernel: KernelUnderTest) -> None:
    """What was sent is answered, and read again; long metadata is cut off."""
    run = uuid4()
    sent = {
        "key": "my-key", "type": "table", "description": "ü", "data": {"rows": [1, 2.5, None, "ß"]},
        "metadata_": {"short": "x", "long": "y" * 501}, "flow_run_id": run.upper(), "task_run_id": None,
    }  # fmt: skip
    made = make(kernel, **sent)
    assert made == {
        **sent,
        "id": made["id"],
        "created": "2030-01-01T12:00:00Z",
        "updated": "2030-01-01T12:00:00Z",
        "metadata_": {"short": "x", "long": "y" * 500 + "..."},
        "flow_run_id": run,
    }
    assert kernel.client.get(f"/artifacts/{made['id']}").json() == made
    latest = kernel.client.get("/artifacts/my-key/latest").json()
    assert latest["id"] != made["id"]  # it is the collection's
    assert {**latest, "id": made["id"]} == made
    assert kernel.client.get(f"/artifacts/{uuid4()}").status == 404
    assert kernel.client.get("/artifacts/other/latest").status == 404


@pytest.mark.parametrize("data", [None, True, 1, 1.5, "", "1", [], {}, {"a": [None, {"b": "c\\d"}]}])
def test_data_of_every_kind(kernel: KernelUnderTest, data: Any) -> None:
    """Data is anything that JSON can say."""
    made = make(kernel, data=data)
    assert made["data"] == data
    assert kernel.client.get(f"/artifacts/{made['id']}").json() == made


def test_the_one_before_is_the_latest_again(kernel: KernelUnderTest) -> None:
    """A collection follows its key: to newer artifacts, back when they are deleted, and away with the last of them."""
    made = []
    for n in range(3):
        made.append(make(kernel, key="k", data=n, description=str(n)))
        kernel.clock.advance(seconds=1)
    latest = lambda: kernel.client.post("/artifacts/latest/filter", json={}).json()  # noqa: E731
    assert [(one["latest_id"], one["data"]) for one in latest()] == [(made[2]["id"], 2)]
    assert kernel.client.delete(f"/artifacts/{made[1]['id']}").status == 204
    assert [one["latest_id"] for one in latest()] == [made[2]["id"]]
    assert kernel.client.delete(f"/artifacts/{made[2]['id']}").status == 204
    assert [(one["latest_id"], one["description"]) for one in latest()] == [(made[0]["id"], "0")]
    assert kernel.client.delete(f"/artifacts/{made[0]['id']}").status == 204
    assert latest() == []
    assert kernel.client.delete(f"/artifacts/{made[0]['id']}").status == 404


def test_a_number_keeps_its_digits(kernel: KernelUnderTest) -> None:
    """Wherever data is read as text: a state's result, a graph's progress, and a collection that goes back.

    SQLite stores a bare number as one, and would cast it to fifteen digits.
    """
    share, vast = 33.333333333333336, 2.0**70
    run = kernel.client.post("/task_runs/", json={"task_key": "t", "dynamic_key": "1"}).json()["id"]
    kernel.client.post(f"/task_runs/{run}/set_state", json={"state": {"type": "SCHEDULED", "data": share}})
    assert kernel.client.get(f"/task_runs/{run}").json()["state"]["data"] == share

    for data in (share, vast):
        make(kernel, key="k", data=data)
        kernel.clock.advance(seconds=1)
    newest = make(kernel, key="k", data=0.5)
    assert kernel.client.delete(f"/artifacts/{newest['id']}").status == 204
    assert kernel.client.get("/artifacts/k/latest").json()["data"] == vast

    flow_run = kernel.flow_run()["id"]
    make(kernel, type="progress", data=share, flow_run_id=flow_run)
    [shown] = kernel.client.get(f"/flow_runs/{flow_run}/graph-v2").json()["artifacts"]
    assert shown["data"] == share


def test_changes_reach_the_collection(kernel: KernelUnderTest) -> None:
    """Of the latest artifact only; what is not given stays."""
    old, new = make(kernel, key="k", data=1), make(kernel, key="k", data=2, description="d")
    assert kernel.client.patch(f"/artifacts/{old['id']}", json={"data": 3}).status == 204
    assert kernel.client.get("/artifacts/k/latest").json()["data"] == 2
    assert kernel.client.patch(f"/artifacts/{new['id']}", json={"data": None}).status == 204
    found = kernel.client.get("/artifacts/k/latest").json()
    assert (found["data"], found["description"]) == (None, "d")
    assert kernel.client.patch(f"/artifacts/{uuid4()}", json={}).status == 404
    assert kernel.client.patch(f"/artifacts/{new['id']}", json={"key": "x"}).status == 422


def test_lists(kernel: KernelUnderTest) -> None:
    """Filters of artifacts and of the runs that they belong to."""
    flow = kernel.client.post("/flows/", json={"name": "f"}).json()
    run = kernel.client.post("/flow_runs/", json={"flow_id": flow["id"], "tags": ["a"]}).json()
    for key, kind in (("a", "table"), ("b", "markdown"), (None, "result")):
        make(kernel, key=key, type=kind, flow_run_id=run["id"] if key == "a" else None)
    cases: list[tuple[dict[str, Any], list[Any]]] = [
        ({}, ["a", "b", None]),
        ({"artifacts": {"key": {"exists_": True}}}, ["a", "b"]),
        ({"artifacts": {"key": {"like_": "B"}}}, ["b"]),
        ({"artifacts": {"type": {"not_any_": ["table"]}}}, ["b", None]),
        ({"artifacts": {"operator": "or_", "key": {"any_": ["b"]}, "type": {"any_": ["table"]}}}, ["a", "b"]),
        ({"flow_runs": {"tags": {"all_": ["a"]}}}, ["a"]),
        ({"flows": {"name": {"any_": ["g"]}}}, []),
        ({"task_runs": {}}, []),
    ]
    for body, expected in cases:
        found = kernel.client.post("/artifacts/filter", json=body).json()
        assert sorted((one["key"] for one in found), key=str) == sorted(expected, key=str), body
        assert kernel.client.post("/artifacts/count", json=body).json() == len(expected)
        latest = kernel.client.post("/artifacts/latest/count", json=body).json()
        if "artifacts" not in body or "type" not in body["artifacts"]:
            assert latest == len([key for key in expected if key]), body


def test_results_with_a_key(kernel: KernelUnderTest) -> None:
    """A state's result may name a key; a later one keeps the description that it does not give."""
    flow = kernel.client.post("/flows/", json={"name": "f"}).json()
    run = kernel.client.post("/flow_runs/", json={"flow_id": flow["id"]}).json()
    for more in ({"artifact_description": "d"}, {}):
        data = {"artifact_key": "k", "artifact_type": "result", "n": len(more), **more}
        body = {"state": {"type": "RUNNING", "data": data}, "force": True}
        assert kernel.client.post(f"/flow_runs/{run['id']}/set_state", json=body).status == 201
        kernel.clock.advance(seconds=1)
    found = kernel.client.get("/artifacts/k/latest").json()
    assert (found["data"], found["description"], found["flow_run_id"]) == ({"n": 0}, "d", run["id"])
    assert kernel.client.post("/artifacts/count", json={}).json() == 2


@pytest.mark.parametrize(
    "body", [{"key": "A"}, {"key": "a b"}, {"metadata_": {"a": 1}}, {"x": 1}, {"flow_run_id": "x"}]
)
def test_what_is_refused(kernel: KernelUnderTest, body: dict[str, Any]) -> None:
    """Keys are lower case letters, digits and dashes; nothing is stored."""
    assert kernel.client.post("/artifacts/", json=body).status == 422
    assert kernel.client.post("/artifacts/count", json={}).json() == 0
