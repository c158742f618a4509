"""What is measured besides runs: blocks, variables, artifacts, inputs, searches, limits and leases, small answers."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

from .load import Connection, Operation, read

ROWS = 60
"""Rows that each group has to begin with."""

_MANY = 1_000_000
_number = itertools.count()


def _new(stem: str) -> str:
    return f"{stem}-{uuid.uuid4().hex[:10]}-{next(_number)}"


async def fill(port: int, flow: str, run: str) -> dict[str, str]:
    """Make what the operations read and change: names and ids of it."""
    c = Connection(port)
    ids = {"flow": flow, "run": run}
    for number in range(ROWS):
        value = {"name": f"bench-{number}", "value": {"n": number}, "tags": ["bench"]}
        await c.json("POST", "/variables/", value)
        artifact = {"key": f"bench-{number % 50}", "type": "markdown", "data": "# bench", "flow_run_id": run}
        ids[f"artifact-{number}"] = (await c.json("POST", "/artifacts/", artifact))["id"]
        await c.json("PUT", "/saved_searches/", {"name": f"bench-{number}", "filters": []})
        await c.json("POST", "/v2/concurrency_limits/", {"name": f"bench-{number}", "limit": _MANY})
        await c.json("POST", f"/flow_runs/{run}/input", {"key": f"bench-{number}", "value": '{"a": 1}'})
    await c.json("POST", "/concurrency_limits/", {"tag": "bench", "concurrency_limit": _MANY})
    kinds = await c.json("POST", "/block_types/filter", {"block_types": {"slug": {"any_": ["secret"]}}})
    ids["block_type"] = kinds[0]["id"]
    about = {"block_schemas": {"block_type_id": {"any_": [ids["block_type"]]}}}
    schema = (await c.json("POST", "/block_schemas/filter", about))[0]
    ids["block_schema"], ids["checksum"] = schema["id"], schema["checksum"]
    for number in range(ROWS):
        ids[f"block-{number}"] = (await _block(c, ids, f"bench-{number}"))["id"]
        lease = {"names": ["bench-0"], "slots": 1, "lease_duration": 3600}
        made = await c.json("POST", "/v2/concurrency_limits/increment-with-lease", lease)
        ids[f"lease-{number}"] = made["lease_id"]
    c.close()
    return ids


async def _block(c: Connection, ids: dict[str, str], name: str) -> Any:
    kind = {"block_schema_id": ids["block_schema"], "block_type_id": ids["block_type"]}
    return await c.json("POST", "/block_documents/", {"name": name, "data": {"value": "secret"}, **kind})


def operations(ids: dict[str, str]) -> dict[str, Operation]:
    """Every operation by its name; reads come first, since writes make the database grow."""
    limits = "/v2/concurrency_limits"
    inputs = f"/flow_runs/{ids['run']}/input"
    slots = {"names": ["bench-1"], "slots": 1}

    def write(method: str, path: str, body: Any = None) -> Operation:
        """One request; `body` makes what is sent anew for each. A `*` in the path is one row after the other."""

        async def one(c: Connection, _: str) -> Any:
            row = next(_number) % ROWS
            its = path.replace("lease-*", ids[f"lease-{row}"]).replace("block-*", ids[f"block-{row}"])
            its = its.replace("artifact-*", ids[f"artifact-{row}"]).replace("*", str(row))
            return await c.call(method, its, body() if callable(body) else body)

        return one

    async def increment_decrement(c: Connection, _: str) -> None:
        await c.call("POST", f"{limits}/increment", slots)
        await c.call("POST", f"{limits}/decrement", slots)

    async def lease_cycle(c: Connection, _: str) -> None:
        lease = (await c.json("POST", f"{limits}/increment-with-lease", slots))["lease_id"]
        await c.call("POST", f"{limits}/decrement-with-lease", {"lease_id": lease})

    async def tag_cycle(c: Connection, _: str) -> None:
        body = {"names": ["bench"], "task_run_id": str(uuid.uuid4())}
        await c.call("POST", "/concurrency_limits/increment", body)
        await c.call("POST", "/concurrency_limits/decrement", body)

    async def block_create(c: Connection, _: str) -> None:
        await _block(c, ids, _new("block"))

    page: dict[str, Any] = {"limit": 50}
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    return {
        "variable_read": read("GET", "/variables/name/bench-7"),
        "variable_list": read("POST", "/variables/filter", page),
        "block_types": read("POST", "/block_types/filter", page),
        "block_schema": read("GET", f"/block_schemas/checksum/{ids['checksum']}"),
        "block_read": read("GET", f"/block_documents/{ids['block-0']}?include_secrets=true"),
        "block_by_name": read("GET", "/block_types/slug/secret/block_documents/name/bench-7?include_secrets=true"),
        "block_list": read("POST", "/block_documents/filter", page),
        "capabilities": read("GET", "/block_capabilities/"),
        "artifact_read": read("GET", f"/artifacts/{ids['artifact-0']}"),
        "artifact_latest": read("GET", "/artifacts/bench-7/latest"),
        "artifact_list": read("POST", "/artifacts/filter", page),
        "artifacts_latest": read("POST", "/artifacts/latest/filter", page),
        "search_list": read("POST", "/saved_searches/filter", page),
        "input_read": read("GET", f"{inputs}/bench-7"),
        "input_list": read("POST", f"{inputs}/filter", {"prefix": "bench", "limit": 50}),
        "limit_read": read("GET", f"{limits}/bench-7"),
        "limit_list": read("POST", f"{limits}/filter", page),
        "tag_limit_read": read("GET", "/concurrency_limits/tag/bench"),
        "collections": read("GET", "/collections/views/aggregate-worker-metadata"),
        "template": read("POST", "/templates/validate", "hello {{ flow.name }}"),
        "settings": read("GET", "/admin/settings"),
        "ui_history": read("POST", "/ui/flow_runs/history", {"sort": "START_TIME_DESC", "limit": 200}),
        "ui_task_count": read("POST", "/ui/flow_runs/count-task-runs", {"flow_run_ids": [ids["run"]]}),
        "ui_validate": read("POST", "/ui/schemas/validate", {"schema": schema, "values": {"a": 1}}),
        "variable_create": write("POST", "/variables/", lambda: {"name": _new("v"), "value": 1}),
        "variable_update": write("PATCH", "/variables/name/bench-*", {"value": 2}),
        "block_create": block_create,
        "block_update": write("PATCH", "/block_documents/block-*", {"data": {"value": "other"}}),
        "artifact_create": write("POST", "/artifacts/", lambda: {"key": _new("a"), "type": "table", "data": [1]}),
        "artifact_update": write("PATCH", "/artifacts/artifact-*", {"data": "new"}),
        "search_save": write("PUT", "/saved_searches/", lambda: {"name": _new("s"), "filters": []}),
        "input_create": write("POST", inputs, lambda: {"key": _new("k"), "value": "1"}),
        "limit_create": write("POST", f"{limits}/", lambda: {"name": _new("l"), "limit": 1}),
        "limit_update": write("PATCH", f"{limits}/bench-*", {"limit": _MANY - 1}),
        "slots": increment_decrement,
        "slots_by_lease": lease_cycle,
        "lease_renew": write("POST", f"{limits}/leases/lease-*/renew", {"lease_duration": 3600}),
        "slots_by_tag": tag_cycle,
    }
