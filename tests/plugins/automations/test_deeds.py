"""What actions do to deployments, work queues, work pools and runs, and what is told about it."""

from __future__ import annotations

import pytest

from prefect_kernel.testing import KernelUnderTest
from tests.plugins.automations.test_actions import act, fire, flow_run
from tests.plugins.automations.test_triggers import event, look, send, watch


@pytest.mark.parametrize("source", ["selected", "inferred"])
@pytest.mark.parametrize("what", ["deployment", "work-queue", "work-pool"])
def test_pausing_and_resuming(kernel: KernelUnderTest, what: str, source: str) -> None:
    """Deployments, work queues and work pools: a chosen one, or the first of its kind that the event names."""
    post = kernel.client.post
    flow = post("/flows/", json={"name": "f"}).json()["id"]
    pool = post("/work_pools/", json={"name": "p", "type": "process"}).json()["id"]
    queue = kernel.client.get("/work_pools/p/queues/default").json()["id"]
    body = {"name": "d", "flow_id": flow, "work_pool_name": "p"}
    deployment = post("/deployments/", json=body).json()["id"]
    id, path, key = {
        "deployment": (deployment, f"/deployments/{deployment}", "paused"),
        "work-queue": (queue, f"/work_queues/{queue}", "is_paused"),
        "work-pool": (pool, "/work_pools/p", "is_paused"),
    }[what]
    chosen = {f"{what.replace('-', '_')}_id": id} if source == "selected" else {"source": "inferred"}
    watch(kernel, event(expect=["stop"]), actions=[{"type": f"pause-{what}", **chosen}])
    watch(kernel, event(expect=["go"]), actions=[{"type": f"resume-{what}", **chosen}])
    related = [
        {"prefect.resource.id": f"prefect.{what}s.{id}", "prefect.resource.role": "other"},
        {"prefect.resource.id": f"prefect.{what}.{id}", "prefect.resource.role": "it"},
    ]
    for name, paused in (("stop", True), ("go", False)):
        send(kernel, name, related=related)
        look(kernel)
        told = act(kernel)[-1]
        assert told["event"] == "prefect.automation.action.executed", told
        assert told["related"][0]["prefect.resource.id"] == f"prefect.{what}.{id}"
        assert told["related"][0]["prefect.resource.role"] == "target"
        assert told["payload"]["status_code"] == (200 if what == "deployment" else 204)
        assert kernel.client.get(path).json()[key] is paused


def test_running_a_deployment(kernel: KernelUnderTest) -> None:
    """With parameters that are filled in and keep their types; made once, in the automation's name."""
    post = kernel.client.post
    flow = post("/flows/", json={"name": "f"}).json()["id"]
    id = post("/deployments/", json={"name": "d", "flow_id": flow, "enforce_parameter_schema": False}).json()["id"]
    parameters = {"n": "{{ event.payload.n }}", "text": "n is {{ event.payload.n }}", "list": ["{{ event.payload.l }}"]}
    action = {"type": "run-deployment", "source": "inferred", "parameters": parameters, "schedule_after": 60}
    automation = watch(kernel, event(expect=["go"]), actions=[action])
    send(kernel, "go", f"prefect.deployment.{id}", payload={"n": 5, "l": [1, None]})
    look(kernel)
    told = act(kernel)[-1]
    (run,) = post("/flow_runs/filter", json={}).json()
    assert run["parameters"] == {"n": 5, "text": "n is 5", "list": [[1, None]]}
    assert run["created_by"] == {"id": automation, "type": "AUTOMATION", "display_value": "watch"}
    assert run["idempotency_key"].startswith(f"automation {automation}, action 0, invocation ")
    assert [one["prefect.resource.role"] for one in told["related"][:2]] == ["target", "flow-run"]
    assert told["related"][1]["prefect.resource.name"] == run["name"]
    assert told["payload"]["status_code"] == 201


def test_deleting_a_flow_run(kernel: KernelUnderTest) -> None:
    """The run is gone; a second one that names it fails."""
    run = flow_run(kernel)
    fire(kernel, {"type": "delete-flow-run"}, {"type": "delete-flow-run"}, of=f"prefect.flow-run.{run}")
    told = act(kernel)
    assert [one["event"].rpartition(".")[2] for one in told[1::2]] == ["executed", "failed"]
    assert told[3]["payload"]["reason"] == "Unexpected status from 'delete-flow-run' action: 404"
    assert kernel.client.get(f"/flow_runs/{run}").status == 404
