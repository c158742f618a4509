"""Bodies in which everything is wrong: what is said of each member, and in which order."""

from __future__ import annotations

from typing import Any

from ..generators._filters import OBJECTS
from ..script import Script, sequence
from ._bad_input import NO_ID
from ._make import work_pool

GROUP = "root"
FOUR = ("flows", "flow_runs", "task_runs", "deployments")
SIX = (*FOUR, "work_pools", "work_pool_queues")
LISTS = {
    "/flows": SIX, "/flow_runs": SIX, "/task_runs": FOUR, "/deployments": SIX, "/artifacts": ("artifacts", *FOUR),
    "/artifacts/latest": ("artifacts", *FOUR), "/logs": ("logs",), "/automations": ("automations",),
    "/variables": ("variables",), "/block_schemas": ("block_schemas",),
    "/block_types": ("block_types", "block_schemas"),
    "/block_documents": ("block_documents", "block_types", "block_schemas"), "/work_pools": ("work_pools",),
    "/work_queues": ("work_queues",), "/concurrency_limits": (), "/v2/concurrency_limits": (), "/saved_searches": (),
}  # fmt: skip
PAGES = ("/flows", "/flow_runs", "/task_runs", "/deployments")
NESTED: Any = [[]]
MEMBERS = ("sort", "offset", "page", "limit", "include_secrets", "page_size")


@sequence(independent=True)
def everything_is_wrong(s: Script) -> None:
    """Lists and pages with nothing right in their bodies."""
    for path, filters in LISTS.items():
        routes = ("filter", "paginate", "count") if path in PAGES else ("filter", "count")
        for route in routes:
            for wrong in (NESTED, "x", -1, 10**6):
                s.post(f"{path}/{route}", dict.fromkeys((*reversed(filters), *MEMBERS), wrong))
            s.post(f"{path}/{route}", {**dict.fromkeys(filters, 1), "limit": "-1"})
    pool, _ = work_pool(s)
    path = f"/work_pools/{pool['name']}"
    for of in ("queues", "workers"):
        s.post(f"{path}/{of}/filter", {**dict.fromkeys(MEMBERS, "x"), "work_queues": NESTED, "workers": NESTED})
    wrong = ("limit", "page", "flow_run_limit", "scheduled_after", "scheduled_before", "work_queue_names")
    for route in ("concurrency_status", "get_scheduled_flow_runs"):
        s.post(f"{path}/{route}", dict.fromkeys(wrong, NESTED))
    s.post("/deployments/get_scheduled_flow_runs", dict.fromkeys((*wrong, "deployment_ids"), "x"))
    for path in ("/deployments", "/work_pools/none", "/work_queues/none", f"/work_queues/{NO_ID}"):
        for route in ("get_scheduled_flow_runs", "concurrency_status", "get_runs", "queues/filter", "workers/filter"):
            s.post(f"{path}/{route}", dict.fromkeys((*wrong, "deployment_ids", "work_queues", "workers"), -1))


@sequence(independent=True)
def every_filter_is_wrong(s: Script) -> None:
    """Filters of every kind with nothing right in them."""
    for key, fields in OBJECTS.items():
        path = "/flows/filter" if key != "logs" else "/logs/filter"
        for wrong in (NESTED, {"a": 1}):
            inner = {field: _wrong(members, wrong) for field, members in reversed(fields.items())}
            s.post(path, {key: {**inner, "operator": "nor_"}})
        s.post(path, {key: dict.fromkeys(reversed(fields), 1)})


def _wrong(members: dict[str, Any], wrong: Any) -> dict[str, Any]:
    return {name: _wrong(inner, wrong) if isinstance(inner, dict) else wrong for name, inner in members.items()}
