"""Runs made from deployments, one and many, and those that are due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect_kernel.testing import KernelUnderTest

from .test_deployments import SCHEMA, deploy, flow, read, told

TEMPLATE = {
    "job_configuration": {"image": "{{ image }}"},
    "variables": {"type": "object", "properties": {"image": {"type": "string"}}, "required": ["image"]},
}


def run(kernel: KernelUnderTest, made: dict[str, Any], status: int = 201, **body: Any) -> Any:
    """A run as it is answered."""
    answer = kernel.client.post(f"/deployments/{made['id']}/create_flow_run", json=body)
    assert answer.status == status, answer.text
    return answer.json()


def test_a_run_comes_from_its_deployment(kernel: KernelUnderTest) -> None:
    """Parameters, tags, labels, version and queue; it is scheduled for now."""
    made = deploy(
        kernel, tags=["a"], parameters={"x": 1, "y": 2}, version="v1", work_queue_name="q", job_variables={"a": 1}
    )
    one = run(kernel, made, parameters={"y": 3}, tags=["b"], labels={"mine": True})
    assert one["parameters"] == {"x": 1, "y": 3}
    assert (one["tags"], one["deployment_version"], one["work_queue_name"]) == (["a", "b"], "v1", "q")
    assert one["labels"] == {
        "team": "a",
        "prefect.flow.id": made["flow_id"],
        "prefect.deployment.id": made["id"],
        "mine": True,
    }
    assert (one["state"]["type"], one["expected_start_time"]) == ("SCHEDULED", one["state"]["timestamp"])
    assert kernel.client.get(f"/flow_runs/{one['id']}").json()["parameters"] == one["parameters"]
    assert kernel.events[-1]["event"] == "prefect.flow-run.Scheduled"


def test_a_key_finds_its_run(kernel: KernelUnderTest) -> None:
    """A repeated request changes nothing."""
    made = deploy(kernel)
    first = run(kernel, made, idempotency_key="k", name="first")
    again = run(kernel, made, 200, idempotency_key="k", name="second")
    assert (again["id"], again["name"]) == (first["id"], "first")
    raced = kernel.client.together(
        6, "POST", f"/deployments/{made['id']}/create_flow_run", json={"idempotency_key": "raced"}
    )
    assert sorted(answer.status for answer in raced) == [200] * 5 + [201]
    assert kernel.client.post("/flow_runs/count", json={}).json() == 2


def test_parameters_of_a_run(kernel: KernelUnderTest) -> None:
    """Hydrated, then checked, where the deployment or the run asks for it."""
    body = {"name": "five", "value": 5}
    assert kernel.client.post("/variables/", json=body).status == 201
    made = deploy(kernel, parameter_openapi_schema=SCHEMA)
    five = {"__prefect_kind": "workspace_variable", "variable_name": "five"}
    assert run(kernel, made, parameters={"x": five})["parameters"] == {"x": 5}
    assert run(kernel, made, parameters={"x": "no"}, enforce_parameter_schema=False)["parameters"] == {"x": "no"}
    refused = run(kernel, made, 409)
    assert refused["detail"].startswith("Error creating flow run: Validation failed. Failure reason: 'x' is a required")
    unknown = {"__prefect_kind": "workspace_variable", "variable_name": "six"}
    assert run(kernel, made, 400, parameters={"x": unknown}) == {
        "detail": "Error hydrating flow run parameters: Variable 'six' not found in workspace."
    }
    circular = deploy(kernel, "circular", parameter_openapi_schema={"$ref": "#"})
    assert run(kernel, circular, 422, parameters={"x": 1})["detail"].startswith("Invalid schema")


def test_job_variables_must_suit_the_pool(kernel: KernelUnderTest) -> None:
    """What the template requires must be there at last."""
    body = {"name": "pool", "type": "process", "base_job_template": TEMPLATE}
    assert kernel.client.post("/work_pools/", json=body).status == 201
    made = deploy(kernel, work_pool_name="pool")
    assert run(kernel, made, 422)["detail"].startswith("Error creating flow run: Validation failed.")
    one = run(kernel, made, job_variables={"image": "i"}, work_queue_name="new")
    assert (one["work_pool_name"], one["work_queue_name"]) == ("pool", "new")
    bare = deploy(kernel, "bare")
    assert run(kernel, bare, 400, work_queue_name="new")["detail"].startswith("Cannot create flow run in work queue")
    refused = kernel.client.post(
        "/deployments/",
        json={"name": "x", "flow_id": flow(kernel), "work_pool_name": "pool", "job_variables": {"image": 1}},
    )
    assert refused.status == 422


def test_many_runs(kernel: KernelUnderTest) -> None:
    """What is wrong with one of them keeps none of the others."""
    made = deploy(kernel, parameter_openapi_schema=SCHEMA)
    path = f"/deployments/{made['id']}/create_flow_run/bulk"
    good: dict[str, Any] = {"parameters": {"x": 1}}
    body = [good, {}, {**good, "idempotency_key": "k"}, {**good, "idempotency_key": "k"}]
    results = kernel.client.post(path, json=body).json()["results"]
    assert [one["status"] for one in results] == ["CREATED", "FAILED", "CREATED", "CREATED"]
    assert results[1]["error"].startswith("Parameter validation failed: ")
    assert results[2]["flow_run_id"] == results[3]["flow_run_id"]
    assert kernel.client.post("/flow_runs/count", json={}).json() == 2
    empty = kernel.client.post(path, json=[{**good, "idempotency_key": ""}, {**good, "idempotency_key": ""}, good])
    assert [one["status"] for one in empty.json()["results"]] == ["CREATED", "FAILED", "CREATED"]
    assert kernel.client.post(path, json=[]).json() == {"results": []}
    assert kernel.client.post(path, json=[{}] * 101).status == 400


def test_who_is_asked_for_is_ready(kernel: KernelUnderTest) -> None:
    """Runs of deployments that are due, the earliest first; and the deployments are ready then."""
    made, other = deploy(kernel), deploy(kernel, "other")
    for seconds in (60, -60, 3600):
        moment = kernel.clock.now() + timedelta(seconds=seconds)
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": moment.isoformat()}}
        run(kernel, made, name=str(seconds), state=state)
    run(kernel, other)
    assert read(kernel, made)["status"] == "NOT_READY"
    before = (kernel.clock.now() + timedelta(seconds=90)).isoformat()
    body = {"deployment_ids": [made["id"]], "scheduled_before": before}
    found = kernel.client.post("/deployments/get_scheduled_flow_runs", json=body).json()
    assert [one["name"] for one in found] == ["-60", "60"]
    assert (read(kernel, made)["status"], read(kernel, other)["status"]) == ("READY", "NOT_READY")
    assert read(kernel, made)["last_polled"] is not None
    assert told(kernel)[-1]["event"] == "prefect.deployment.ready"
