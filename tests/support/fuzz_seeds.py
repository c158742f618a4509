"""Things for made-up requests to be about: without them, nearly all are about what does not exist."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

AUTHORIZATION = "Basic ZnV6ejpmdXp6"
"""`fuzz:fuzz`, which the server wants."""


def ask(api: str, method: str, path: str, body: Any = None) -> Any:
    """The JSON that a server answers. Raises RuntimeError for what is no success."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": AUTHORIZATION}
    request = urllib.request.Request(api + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from None
    return json.loads(content) if content else None


MANY = 12
"""How many there are of what requests may delete."""


def _post(api: str, path: str, **body: Any) -> Any:
    return ask(api, "POST", path, body)


def seed(api: str) -> dict[str, list[str]]:
    """Make some of each; what stands for which parameter: `flow_id`, `work_pool_name`, …"""
    made: dict[str, list[str]] = {}

    def keep(**found: str) -> None:
        for name, value in found.items():
            values = made.setdefault(name, [])
            if value not in values:
                values.append(value)

    post = partial(_post, api)
    kind = ask(api, "GET", "/block_types/slug/secret")["id"]
    keep(block_type_id=kind, slug="secret", view="aggregate-worker-metadata", countable="event")
    for number in range(MANY):
        _orchestration(api, keep, number)
        fields = {"title": f"x{number}", "type": "object", "properties": {}}
        schema = post("/block_schemas/", fields=fields, block_type_id=kind)
        keep(block_schema_id=schema["id"], checksum=schema["checksum"])
        document = f"document-{number}"
        body = {"name": document, "block_type_id": kind, "block_schema_id": schema["id"], "data": {}}
        keep(block_document_id=post("/block_documents/", **body)["id"], block_document_name=document)
        mine = post("/block_types/", name=f"type {number}", slug=f"type-{number}")
        keep(block_type_id=mine["id"], slug=mine["slug"])
        trigger = {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0}
        keep(automation_id=post("/automations/", name="a", trigger=trigger, actions=[{"type": "do-nothing"}])["id"])
        name, tag, limit = f"variable_{number}", f"tag-{number}", f"limit-{number}"
        keep(variable_name=name, variable_id=post("/variables/", name=name, value=1)["id"])
        keep(tag=tag, concurrency_limit_id=post("/concurrency_limits/", tag=tag, concurrency_limit=2)["id"])
        keep(id_or_name=post("/v2/concurrency_limits/", name=limit, limit=2)["id"])
        keep(id_or_name=limit)
        search = {"name": f"search {number}", "filters": []}
        keep(saved_search_id=ask(api, "PUT", "/saved_searches/", search)["id"])
        keep(hook=post("/kernel/hooks/", name=f"hook {number}", template="{}", verify="none")["slug"])
        keep(kernel_key_id=post("/kernel/keys/", name=f"key-{number}", scope="read")["id"])
    return made


def _orchestration(api: str, keep: Callable[..., None], number: int) -> None:
    """A flow with a deployment, a run of it, and what belongs to them."""
    post = partial(_post, api)
    name = f"flow-{number}"
    flow = post("/flows/", name=name)["id"]
    pool = f"pool-{number}"
    post("/work_pools/", name=pool, type="process")
    queue = post(f"/work_pools/{pool}/queues", name="queue")["id"]
    post(f"/work_pools/{pool}/workers/heartbeat", name="worker")
    deployment = post(
        "/deployments/",
        name="deployment",
        flow_id=flow,
        work_pool_name=pool,
        schedules=[{"schedule": {"interval": 3600}, "active": True}],
        parameter_openapi_schema={"type": "object", "properties": {"x": {"type": "integer"}}},
        enforce_parameter_schema=bool(number % 2),
    )["id"]
    keep(flow_id=flow, flow_name=name, deployment_id=deployment, deployment_name="deployment")
    keep(work_pool_name=pool, work_queue_id=queue, work_queue_name="queue", worker_name="worker")
    keep(schedule_id=ask(api, "GET", f"/deployments/{deployment}/schedules")[0]["id"])
    state = ("PENDING", "RUNNING", "SCHEDULED", "PAUSED", "COMPLETED")[number % 5]
    run = post("/flow_runs/", flow_id=flow, deployment_id=deployment, state={"type": state})
    task = post("/task_runs/", flow_run_id=run["id"], task_key="t", dynamic_key="0", state={"type": "PENDING"})
    post(f"/flow_runs/{run['id']}/input", key="key", value="1")
    keep(flow_run_id=run["id"], flow_run_state_id=run["state"]["id"])
    keep(task_run_id=task["id"], task_run_state_id=task["state"]["id"])
    line = {"name": "n", "level": 20, "message": "said", "timestamp": "2026-01-01T00:00:00Z", "flow_run_id": run["id"]}
    ask(api, "POST", "/logs/", [line])
    keep(key="key", artifact_id=post("/artifacts/", key="key", data=1, flow_run_id=run["id"])["id"])
    keep(sla_id=post("/kernel/slas/", name=f"sla {number}", deployment_id=deployment, duration=60)["id"])


ABSENT = "00000000-0000-4000-8000-000000000001"
"""No id of anything."""


def _name(path: str, parameter: str) -> str:
    """What a parameter is called among the seeds: `id` in `/api/flows/{id}` is `flow_id`."""
    before = path[: path.index("{" + parameter + "}")].rstrip("/").split("/")
    if parameter == "slug" and before[-1] == "hooks":
        return "hook"
    if parameter not in ("id", "name"):
        return parameter
    kind = before[-1] if before[-1] != "name" else before[-2]
    kind = {"queues": "work_queues", "keys": "kernel_keys", "actions": "dead_letters"}.get(kind, kind)
    return f"{kind.removesuffix('s')}_{parameter}"


def _enumerated(values: list[str], schema: dict[str, Any]) -> dict[str, Any]:
    """What exists, something that does not, and null where it is allowed.

    Together with a schema that takes any text these would be nothing but any text to schemathesis.
    """
    nullable = any(part.get("type") == "null" for part in schema.get("anyOf", ()))
    return {"enum": [*values, ABSENT, *([None] if nullable else [])]}


def _takes_text(schema: dict[str, Any]) -> bool:
    return any(part.get("type") == "string" for part in (schema, *schema.get("anyOf", ())))


def with_seeds(document: dict[str, Any], seeds: dict[str, list[str]]) -> dict[str, Any]:
    """The document, in which parameters, fields of bodies and filters are about what was made; answers stay as told."""
    schemas = document["components"]["schemas"]
    told = {f"Answer.{name}": _about_answers(schema) for name, schema in schemas.items()}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"] = _about_answers(operation["responses"])
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                values = seeds.get(_name(path, parameter["name"])) if parameter["in"] == "path" else None
                if values is not None:
                    parameter["schema"] = _enumerated(values, {})
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if body is not None:
                _in_body(body, seeds)
    for name, schema in schemas.items():
        kind = _FILTER.fullmatch(name)
        values = seeds.get(f"{_SNAKE.sub('_', kind[1]).lower()}_{kind[2].lower()}") if kind else None
        listed = schema.get("properties", {}).get("any_", {})
        if values is not None:
            for part in (listed, *listed.get("anyOf", ())):
                if part.get("type") == "array":
                    part["items"] = _enumerated(values, {})
        _in_body(schema, seeds)
    schemas.update(told)
    return document


def _about_answers(schema: Any) -> Any:
    """A copy that refers to the schemas of answers."""
    copied = json.dumps(schema).replace('"#/components/schemas/', '"#/components/schemas/Answer.')
    return json.loads(copied)


_FILTER = re.compile(r"(\w+)Filter(Id|Name)")
_SNAKE = re.compile(r"(?<=[a-z])(?=[A-Z])")


def _in_body(schema: dict[str, Any], seeds: dict[str, list[str]]) -> None:
    for name, part in schema.get("properties", {}).items():
        values = seeds.get(name)
        if values is not None and isinstance(part, dict) and _takes_text(part):
            schema["properties"][name] = _enumerated(values, part)
