"""Things for made-up requests to be about: without them, nearly all are about what does not exist."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

AUTHORIZATION = "Basic ZnV6ejpmdXp6"
"""`fuzz:fuzz`, which the server wants."""


def ask(api: str, method: str, path: str, body: Any = None) -> Any:
    """The JSON that a server answers. Raises HTTPError."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": AUTHORIZATION}
    request = urllib.request.Request(api + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        content = answer.read()
    return json.loads(content) if content else None


def seed(api: str) -> dict[str, str]:
    """Make one of each; what stands for which parameter: `flow_id`, `work_pool_name`, …"""

    def post(path: str, **body: Any) -> Any:
        return ask(api, "POST", path, body)

    flow = post("/flows/", name="flow")["id"]
    post("/work_pools/", name="pool", type="process")
    queue = post("/work_pools/pool/queues", name="queue")["id"]
    post("/work_pools/pool/workers/heartbeat", name="worker")
    deployment = post(
        "/deployments/",
        name="deployment",
        flow_id=flow,
        work_pool_name="pool",
        schedules=[{"schedule": {"interval": 3600}, "active": True}],
        parameter_openapi_schema={"type": "object", "properties": {"x": {"type": "integer"}}},
        enforce_parameter_schema=True,
    )["id"]
    schedule = ask(api, "GET", f"/deployments/{deployment}/schedules")[0]["id"]
    run = post("/flow_runs/", flow_id=flow, deployment_id=deployment, state={"type": "PENDING"})
    task = post("/task_runs/", flow_run_id=run["id"], task_key="t", dynamic_key="0", state={"type": "PENDING"})
    post(f"/flow_runs/{run['id']}/input", key="key", value="1")
    post("/logs/filter")
    artifact = post("/artifacts/", key="key", data=1, flow_run_id=run["id"])["id"]
    kind = ask(api, "GET", "/block_types/slug/secret")["id"]
    schema = post("/block_schemas/", fields={"title": "x", "type": "object", "properties": {}}, block_type_id=kind)[
        "id"
    ]
    document = post("/block_documents/", name="document", block_type_id=kind, block_schema_id=schema, data={})["id"]
    trigger = {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0}
    automation = post("/automations/", name="a", trigger=trigger, actions=[{"type": "do-nothing"}])["id"]
    post("/variables/", name="variable", value=1)
    return {
        "flow_id": flow,
        "flow_name": "flow",
        "deployment_id": deployment,
        "deployment_name": "deployment",
        "schedule_id": schedule,
        "flow_run_id": run["id"],
        "flow_run_state_id": run["state"]["id"],
        "task_run_id": task["id"],
        "task_run_state_id": task["state"]["id"],
        "work_pool_name": "pool",
        "work_queue_id": queue,
        "work_queue_name": "queue",
        "worker_name": "worker",
        "key": "key",
        "artifact_id": artifact,
        "block_type_id": kind,
        "block_schema_id": schema,
        "block_document_id": document,
        "block_document_name": "document",
        "slug": "secret",
        "automation_id": automation,
        "variable_id": ask(api, "GET", "/variables/name/variable")["id"],
        "variable_name": "variable",
        "concurrency_limit_id": post("/concurrency_limits/", tag="tag", concurrency_limit=2)["id"],
        "tag": "tag",
        "id_or_name": post("/v2/concurrency_limits/", name="limit", limit=2)["id"],
        "saved_search_id": ask(api, "PUT", "/saved_searches/", {"name": "search", "filters": []})["id"],
    }


def _name(path: str, parameter: str) -> str:
    """What a parameter is called among the seeds: `id` in `/api/flows/{id}` is `flow_id`."""
    if parameter not in ("id", "name"):
        return parameter
    before = path[: path.index("{" + parameter + "}")].rstrip("/").split("/")
    kind = before[-1] if before[-1] != "name" else before[-2]
    if kind == "queues":
        kind = "work_queues"
    return f"{kind.removesuffix('s')}_{parameter}"


def with_seeds(document: dict[str, Any], seeds: dict[str, str]) -> dict[str, Any]:
    """The document, in which parameters and fields of bodies may be what was made; but nothing that is deleted is."""
    # What deletes all that matches comes last.
    document["paths"] = dict(sorted(document["paths"].items(), key=lambda item: item[0].endswith("/bulk_delete")))
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                value = seeds.get(_name(path, parameter["name"])) if parameter["in"] == "path" else None
                if value is not None and method != "delete":
                    parameter["schema"] = {"anyOf": [{"enum": [value]}, parameter["schema"]]}
    for name, schema in document["components"]["schemas"].items():
        if "Delete" not in name:
            _in_body(schema, seeds)
    for operations in document["paths"].values():
        for operation in operations.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if body is not None and "delete" not in operation["operationId"]:
                _in_body(body, seeds)
    return document


def _in_body(schema: dict[str, Any], seeds: dict[str, str]) -> None:
    for name, part in schema.get("properties", {}).items():
        value = seeds.get(name)
        if value is not None and isinstance(part, dict):
            schema["properties"][name] = {"anyOf": [{"enum": [value]}, part]}
