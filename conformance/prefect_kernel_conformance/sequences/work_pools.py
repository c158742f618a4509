"""Work pools: pools, their queues and workers, and what a worker's poll gives."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._bad_input import (
    NO_ID,
    OTHERS_ROWS,
    bad_bodies,
    bad_content_types,
    bad_fields,
    filter_bodies,
    paging,
    wrong_methods,
)
from ._make import flow, set_state
from .flow_run_queries import IDS, TIMES

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": {"A": "{{ env }}"}, "name": "{{name}}"},
    "variables": {
        "type": "object",
        "properties": {
            "command": {"type": "string", "title": "Command", "default": "run"},
            "env": {"type": "object", "title": "Env", "additionalProperties": {"type": "string"}},
            "name": {"type": "string", "title": "Name"},
        },
        "required": ["name"],
    },
}
POOL_FIELDS = (
    "name", "description", "type", "base_job_template", "is_paused", "concurrency_limit", "storage_configuration",
)  # fmt: skip
SINCE = ("body.queues[].flow_runs[].time_in_current_state",)
"""Depends on how fast the server is."""
POLLED = ("body.last_polled", "body.status", "body.updated")
"""Python Prefect writes them some time after the poll; they are compared with the rows at the end."""
QUEUE_FIELDS = ("name", "description", "is_paused", "concurrency_limit", "priority", "filter")
POOL_FILTER = {
    "id": {"any_": IDS}, "name": {"any_": (["a"], [], ["a", "b"])}, "type": {"any_": (["process"], [])},
    "operator": {}, "unknown": {},
}  # fmt: skip
QUEUE_FILTER = {
    "id": {"any_": IDS}, "name": {"any_": (["default"], []), "startswith_": (["de"], ["DE", "x"], [])}, "unknown": {},
}  # fmt: skip
WORKER_FILTER = {
    "last_heartbeat_time": TIMES,
    "status": {"any_": (["ONLINE"], ["OFFLINE", "ONLINE"], []), "not_any_": (["ONLINE"], [])},
    "unknown": {},
}  # fmt: skip


def pool(s: Script, **more: Any) -> str:
    """A work pool of its own; the path of it."""
    name = s.name(f"pool-{len(s.steps)}")
    s.post("/work_pools/", {"name": name, "type": "process", **more})
    return f"/work_pools/{name}"


@sequence
def create_and_read(s: Script) -> None:
    """A pool has a default queue; its name is taken then."""
    path = pool(s, base_job_template=TEMPLATE, description="mine", concurrency_limit=3)
    s.get(path)
    s.get(f"{path}/queues/default")
    s.post(f"{path}/queues/filter", {})
    s.post("/work_pools/", {"name": path.rpartition("/")[2], "type": "docker"})
    s.get(f"{path}/")
    s.post("/work_pools/", {"name": s.name("least")})
    s.get(f"/work_pools/{s.name('least')}")
    s.get(f"/work_pools/{s.name('nobody')}")
    storage = {"bundle_upload_step": {"a": 1}, "default_result_storage_block_id": NO_ID}
    stored = pool(s, storage_configuration=storage, is_paused=True)
    s.get(stored)
    for agent in ("prefect/3.3.7 (API 0.8.4)", "prefect/3.3.6 (API 0.8.4)", "prefect/3.4.0 (API 0.8.4)", "x"):
        s.get(stored, headers={"user-agent": agent})
        mine = {"work_pools": {"name": {"any_": [stored.rpartition("/")[2]]}}}
        s.post("/work_pools/filter", mine, headers={"user-agent": agent})
        s.post("/work_pools/", {"name": s.name(f"agent {len(agent)} {agent[10:12]}")}, headers={"user-agent": agent})


@sequence
def reserved(s: Script) -> None:
    """Names that begin with prefect are kept."""
    for name in ("prefect", "Prefect-x", "PREFECT pool", "prefect-agent"):
        s.post("/work_pools/", {"name": s.name(name)})
    taken = s.seed(
        "work_pool", name=s.name("prefect-own"), type="process", base_job_template={}, status="NOT_READY",
        is_paused=False, storage_configuration={},
    )  # fmt: skip
    queue = s.seed("work_queue", name="default", priority=1, work_pool_id=taken["id"], status="NOT_READY")
    s.update("work_pool", {"id": taken["id"]}, default_queue_id=queue["id"])
    path = f"/work_pools/{s.name('prefect-own')}"
    for body in ({"description": "x"}, {"is_paused": True}, {"concurrency_limit": 2}, {"is_paused": False, "type": "x"},
                 {"is_paused": False, "concurrency_limit": None}, {"storage_configuration": {}}, {}):  # fmt: skip
        s.patch(path, body)
        s.get(path)
    s.delete(path)
    s.post(f"{path}/queues", {"name": "a"})
    s.delete(f"/work_pools/{s.name('prefect-nobody')}")
    s.patch(f"/work_pools/{s.name('prefect-nobody')}", {"is_paused": True})


@sequence
def update_and_pause(s: Script) -> None:
    """Members can be changed; a pause is a status, and ends in READY where a worker is online."""
    path = pool(s)
    for body in (
        {"description": "new"}, {"description": None}, {"concurrency_limit": 5}, {"concurrency_limit": None},
        {"base_job_template": TEMPLATE}, {"base_job_template": {}}, {"is_paused": True}, {"is_paused": True},
        {"is_paused": False}, {"is_paused": False}, {"storage_configuration": {"bundle_upload_step": {"x": []}}},
        {"storage_configuration": {}}, {}, {"type": "docker"}, {"name": "other"}, {"is_paused": None},
        {"storage_configuration": None}, {"base_job_template": {"variables": {}}},
    ):  # fmt: skip
        s.patch(path, body)
        s.get(path)
    s.post(f"{path}/workers/heartbeat", {"name": "w"})
    s.get(path)
    s.patch(path, {"is_paused": True})
    s.post(f"{path}/workers/heartbeat", {"name": "w"})
    s.get(path)
    s.patch(path, {"is_paused": False})
    s.get(path)
    agents = pool(s, type="prefect-agent")
    s.patch(agents, {"is_paused": True})
    s.get(agents)
    s.post(f"{agents}/workers/heartbeat", {"name": "w"})
    s.get(agents)


@sequence
def delete(s: Script) -> None:
    """A deleted pool is gone with its queues and workers; runs and their queue's name stay."""
    path = pool(s)
    s.post(f"{path}/queues", {"name": "other"})
    s.post(f"{path}/workers/heartbeat", {"name": "w"})
    run = s.post("/flow_runs/", {"flow_id": flow(s)["id"], "work_pool_name": path.rpartition("/")[2]})
    s.delete(path)
    s.get(path)
    s.get(f"{path}/queues/default")
    s.get(f"/flow_runs/{run['id']}")
    for method in ("DELETE", "PATCH", "GET"):
        s.request(method, path, {} if method == "PATCH" else None)
    for rest in ("queues/filter", "workers/filter", "get_scheduled_flow_runs", "concurrency_status"):
        s.post(f"{path}/{rest}", {})
    s.post(f"{path}/workers/heartbeat", {"name": "w"})
    s.post(f"{path}/queues", {"name": "q"})
    s.patch(f"{path}/queues/q", {})
    s.delete(f"{path}/queues/q")
    s.delete(f"{path}/workers/w")


@sequence
def job_templates(s: Script) -> None:
    """What a base job template must be."""
    path = pool(s)

    def variables(**properties: Any) -> dict[str, Any]:
        return {"job_configuration": {"a": "{{ a }}"}, "variables": {"type": "object", "properties": properties}}

    for number, template in enumerate((
        {"job_configuration": {}}, {"variables": {}}, {"job_configuration": {"a": 1}}, {"a": 1},
        {"job_configuration": {"a": "{{ a }}"}, "variables": {"properties": {}}},
        {"job_configuration": {"a": "{{ a }}"}, "variables": {"properties": {"b": {}}}},
        {"job_configuration": {"a": ["{{ a.b }}"]}, "variables": {"properties": {"a": {}}}},
        {"job_configuration": {"a": "{{ $A }}"}, "variables": {"properties": {"a": {}}}},
        {"job_configuration": {"a": "{{ prefect.blocks.x.y }}"}, "variables": {"properties": {"a": {}}}},
        {"job_configuration": {"a": 1}, "variables": {"type": "object"}},
        variables(a={"type": "string", "default": "x"}), variables(a={"type": "string", "default": 1}),
        variables(a={"type": "integer", "default": "x"}), variables(a={"type": "string", "default": None}),
        variables(a={"type": "nonsense"}), variables(a={"type": 1}), variables(a={}),
        variables(a={"type": "object", "required": ["z"], "properties": {"z": {"type": "string"}}, "default": {}}),
        variables(a={"type": "object", "default": {"$ref": {"block_document_id": NO_ID}}}),
        variables(a={"type": "object", "default": {"$ref": {"block_document_id": "x"}}}),
        variables(a={"type": "object", "default": {"$ref": {}}}),
        variables(a={"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}),
        variables(a={"type": "array", "items": {"type": "integer"}, "default": [1, "x"]}),
        {**TEMPLATE, "more": [1]},
    )):  # fmt: skip
        s.post("/work_pools/", {"name": s.name(f"template {number}"), "base_job_template": template})
        s.patch(path, {"base_job_template": template})
        s.get(path)


@sequence
def queue_priorities(s: Script) -> None:
    """Priorities differ: who comes to a place that is taken pushes the others behind."""
    path = pool(s)
    for name, priority in (("a", None), ("b", 1), ("c", 3), ("d", None), ("e", 10), ("f", None), ("g", 4), ("h", 2)):
        s.post(f"{path}/queues", {"name": name, **({} if priority is None else {"priority": priority})})
        s.post(f"{path}/queues/filter", {})
    for name, priority in (("a", 1), ("b", 100), ("c", 5), ("c", 5), ("default", 1), ("e", 3), ("h", 50)):
        s.patch(f"{path}/queues/{name}", {"priority": priority})
        s.post(f"{path}/queues/filter", {})
    for name in ("b", "a", "default", "c", "nobody"):
        s.delete(f"{path}/queues/{name}")
        s.post(f"{path}/queues/filter", {})
    s.post(f"{path}/queues", {"name": "x"})
    s.post(f"{path}/queues/filter", {})


@sequence
def queues(s: Script) -> None:
    """Making, reading and changing queues."""
    path = pool(s)
    full = {"name": "q", "description": "d", "is_paused": True, "concurrency_limit": 0, "priority": 7,
            "filter": {"tags": ["a"], "deployment_ids": [NO_ID]}}  # fmt: skip
    s.post(f"{path}/queues", full)
    s.post(f"{path}/queues", full)
    s.post(f"{path}/queues", {"name": "default"})
    s.post(f"{path}/queues", {"name": "other", "filter": {}})
    s.get(f"{path}/queues/q")
    s.get(f"{path}/queues/q/")
    for body in (
        {"description": "x"}, {"concurrency_limit": 4}, {"concurrency_limit": None}, {"is_paused": True},
        {"is_paused": False}, {"is_paused": True}, {"is_paused": False, "last_polled": s.now()}, {"is_paused": True},
        {"is_paused": False, "last_polled": s.now(-100)}, {"is_paused": True, "last_polled": s.now()},
        {"is_paused": False}, {"last_polled": None}, {"name": "other"}, {"filter": None}, {"filter": {"tags": ["b"]}},
        {"name": "new"}, {},
    ):  # fmt: skip
        s.patch(f"{path}/queues/q", body)
        s.get(f"{path}/queues/q")
    s.get(f"{path}/queues/new")
    s.patch(f"{path}/queues/new", {"name": "other"})
    s.patch(f"{path}/queues/new", {"name": None})
    s.patch(f"{path}/queues/new", {"description": None})
    s.patch(f"{path}/queues/new", {"priority": None})
    s.post(f"{path}/queues/filter", {})
    for body in ({"work_queues": {"name": {"any_": ["default"]}}}, {"work_queues": {"name": {"startswith_": ["o"]}}},
                 {"limit": 1, "offset": 1}, {"work_queues": None}):  # fmt: skip
        s.post(f"{path}/queues/filter", body)


@sequence
def workers(s: Script) -> None:
    """Signs of life make workers, and pools READY."""
    path = pool(s)
    s.post(f"{path}/workers/filter", {})
    for body in ({"name": "a"}, {"name": "b", "heartbeat_interval_seconds": 5}, {"name": "b"},
                 {"name": "b", "heartbeat_interval_seconds": None}, {"name": "a", "heartbeat_interval_seconds": 0},
                 {"name": "a", "heartbeat_interval_seconds": -3}, {"name": "ü x/y"}, {"name": ""}):  # fmt: skip
        s.post(f"{path}/workers/heartbeat", body)
        s.get(path)
        s.post(f"{path}/workers/filter", {})
    for body in (
        {"workers": {"status": {"any_": ["ONLINE"]}}}, {"workers": {"status": {"any_": ["OFFLINE"]}}},
        {"workers": {"status": {"not_any_": ["ONLINE"]}}}, {"workers": {"last_heartbeat_time": {"after_": s.now(-60)}}},
        {"workers": {"last_heartbeat_time": {"before_": s.now(-60)}}}, {"limit": 1}, {"offset": 2}, {"workers": None},
        {"workers": {"operator": "or_", "status": {"any_": ["OFFLINE"]},
                     "last_heartbeat_time": {"after_": s.now(-60)}}},
    ):  # fmt: skip
        s.post(f"{path}/workers/filter", body)
    s.delete(f"{path}/workers/a")
    s.delete(f"{path}/workers/a")
    s.post(f"{path}/workers/filter", {})


def _scheduled(s: Script, of: Ref, path: str, queue: str, at: float, **more: Any) -> Ref:
    details = {"scheduled_time": s.now(at)}
    return s.post("/flow_runs/", {
        "flow_id": of["id"], "name": s.name(f"run {queue} {at}"), "work_pool_name": path.rpartition("/")[2],
        "work_queue_name": queue, "state": {"type": "SCHEDULED", "state_details": details}, **more,
    })  # fmt: skip


@sequence
def polls(s: Script) -> None:
    """Runs come by priority of their queue, then by time, within limits."""
    path = pool(s)
    of = flow(s)
    s.post(f"{path}/queues", {"name": "first", "priority": 1})
    s.post(f"{path}/queues", {"name": "last", "priority": 9})
    s.post(f"{path}/get_scheduled_flow_runs", {})
    runs = [
        _scheduled(s, of, path, queue, at)
        for queue, at in (("last", -50), ("default", -40), ("first", -10), ("default", -60), ("first", 500),
                          ("last", -5), ("first", -20))
    ]  # fmt: skip
    _scheduled(s, of, path, "first", -3, empirical_policy={"retries": 1, "retry_type": "in_process"},
               parameters={"a": 1}, tags=["x"], labels={"l": 1}, job_variables={"v": 2})  # fmt: skip
    _scheduled(s, of, path, "first", -2, empirical_policy={"retries": 1, "retry_type": "reschedule"},
               parameters={"a": 1}, tags=["x"], labels={"l": 1}, job_variables={"v": 2}, context={"c": 1})  # fmt: skip
    poll = f"{path}/get_scheduled_flow_runs"
    bodies: list[dict[str, Any]] = [
        {}, {"scheduled_before": s.now()}, {"scheduled_after": s.now(-30)}, {"limit": 2}, {"limit": 0},
        {"scheduled_before": s.now(), "scheduled_after": s.now(-45), "limit": 2}, {"work_queue_names": []},
        {"work_queue_names": ["last"]}, {"work_queue_names": ["last", "first", "last"]},
        {"work_queue_names": ["nobody", "other"]}, {"work_queue_names": ["first", "nobody"]},
    ]  # fmt: skip
    for body in bodies:
        s.post(poll, body)
    for change in (
        {"concurrency_limit": 3}, {"concurrency_limit": 0}, {"concurrency_limit": None, "is_paused": True},
        {"is_paused": False},
    ):  # fmt: skip
        s.patch(path, change)
        s.post(poll, {})
        s.post(poll, {"work_queue_names": ["last"]})
    s.patch(f"{path}/queues/first", {"concurrency_limit": 1})
    s.post(poll, {})
    set_state(s, runs[2], "PENDING")
    s.post(poll, {})
    s.patch(path, {"concurrency_limit": 3})
    s.post(poll, {})
    s.get(path)
    s.get(f"{path}/queues/first")
    s.post(f"{path}/queues/filter", {})
    s.post(f"{path}/concurrency_status", {}, ignore=SINCE)
    set_state(s, runs[1], "PENDING")
    set_state(s, runs[1], "RUNNING")
    s.post(poll, {})
    s.patch(f"{path}/queues/default", {"is_paused": True})
    s.post(poll, {})
    s.patch(f"{path}/queues/default", {"is_paused": False})
    for body in ({"limit": 1}, {"page": 2, "limit": 1}, {"flow_run_limit": 0}, {"limit": 0}, {"page": 9}):
        s.post(f"{path}/concurrency_status", body, ignore=SINCE)
    set_state(s, runs[1], "CANCELLING")
    s.post(f"{path}/concurrency_status", {}, ignore=SINCE)
    s.post(poll, {})


@sequence
def late_claims(s: Script) -> None:
    """A worker claims what it was given, and what another one has run to its end since; the latter is a deviation."""
    path = pool(s)
    first, other = (_scheduled(s, flow(s), path, "default", at) for at in (-20, -10))
    s.post(f"{path}/get_scheduled_flow_runs", {})
    for type_ in ("PENDING", "PENDING", "RUNNING", "PENDING", "CANCELLED", "PENDING"):
        set_state(s, other, type_)
    for type_ in ("PENDING", "RUNNING", "COMPLETED", "PENDING"):
        set_state(s, first, type_)


@sequence
def late_claims_of_retries(s: Script) -> None:
    """As above, where its own process is about to retry the run."""
    path = pool(s)
    run = _scheduled(s, flow(s), path, "default", -20, empirical_policy={"retries": 1, "retry_delay": 60})
    for type_ in ("PENDING", "RUNNING", "FAILED", "PENDING"):
        set_state(s, run, type_)


@sequence
def polls_mark(s: Script) -> None:
    """Queues and deployments that are polled are READY; paused ones keep their status."""
    path = pool(s)
    s.post(f"{path}/queues", {"name": "a"})
    s.post(f"{path}/queues", {"name": "paused", "is_paused": True})
    s.post(f"{path}/get_scheduled_flow_runs", {"work_queue_names": ["a", "paused"]})
    s.get(f"{path}/queues/a", ignore=POLLED)
    s.get(f"{path}/queues/paused", ignore=POLLED)
    s.get(f"{path}/queues/default")
    s.post(f"{path}/get_scheduled_flow_runs", {})
    s.get(f"{path}/queues/default", ignore=POLLED)
    s.patch(f"{path}/queues/a", {"is_paused": True})
    s.patch(f"{path}/queues/a", {"is_paused": False})
    s.get(f"{path}/queues/a")


@sequence(independent=True)
def bad_pools(s: Script) -> None:
    """Bodies and fields that are no pool."""
    good = {"name": s.name("good"), "type": "process"}
    bad_bodies(s, "POST", "/work_pools/", good)
    bad_content_types(s, "POST", "/work_pools/", f'{{"name": "{s.name("typed")}"}}')
    bad_fields(s, "POST", "/work_pools/", good, POOL_FIELDS)
    for name in ("a/b", "a%b", "a&b", "a<b", "a>b", " ", "'", '"" ', "\t", "a\nb", "💥", "ä" * 300):
        s.post("/work_pools/", {"name": f"{name}{s.name('')}" if name.strip("' \"") else name})
    path = pool(s)
    bad_bodies(s, "PATCH", path, {"description": "x"})
    bad_fields(s, "PATCH", path, {"description": "x"}, POOL_FIELDS)
    for storage in ({"unknown": 1}, {"bundle_upload_step": 1}, {"default_result_storage_block_id": "x"}, None, []):
        s.patch(path, {"storage_configuration": storage})
        s.post("/work_pools/", {"name": s.name(f"s {len(str(storage))}"), "storage_configuration": storage})
    for limit in (2**31 - 1, 2**31, 2**63):
        s.patch(path, {"concurrency_limit": limit})


@sequence
def nul_characters(s: Script) -> None:
    """A name with a character that PostgreSQL does not hold."""
    s.post("/work_pools/", {"name": f"\x00{s.name('')}"})


@sequence
def queues_with_nul_characters(s: Script) -> None:
    """The same for a queue."""
    s.post(f"{pool(s)}/queues", {"name": "\x00"})


@sequence(independent=True)
def bad_queues(s: Script) -> None:
    """Bodies and fields that are no queue."""
    path = pool(s)
    good = {"name": "good"}
    bad_bodies(s, "POST", f"{path}/queues", good)
    bad_fields(s, "POST", f"{path}/queues", good, QUEUE_FIELDS)
    bad_bodies(s, "PATCH", f"{path}/queues/default", {"description": "x"})
    bad_fields(s, "PATCH", f"{path}/queues/default", {"description": "x"}, (*QUEUE_FIELDS[1:], "last_polled"))
    for name in ("a/b", " ", "\t", "💥"):
        s.post(f"{path}/queues", {"name": name})


@sequence(independent=True)
def bad_workers(s: Script) -> None:
    """Bodies and fields that are no worker's, and no poll."""
    path = pool(s)
    bad_bodies(s, "POST", f"{path}/workers/heartbeat", {"name": "w"})
    bad_fields(s, "POST", f"{path}/workers/heartbeat", {"name": "w"}, ("name", "heartbeat_interval_seconds"))
    s.post(f"{path}/workers/heartbeat", {"name": "w", "heartbeat_interval_seconds": 2**31})
    bad_bodies(s, "POST", f"{path}/get_scheduled_flow_runs", {})
    bad_fields(s, "POST", f"{path}/get_scheduled_flow_runs", {},
               ("work_queue_names", "scheduled_before", "scheduled_after", "limit"))  # fmt: skip
    bad_bodies(s, "POST", f"{path}/concurrency_status", {})
    bad_fields(s, "POST", f"{path}/concurrency_status", {}, ("page", "limit", "flow_run_limit"))


@sequence(independent=True)
def filter_fields(s: Script) -> None:
    """Each operator of each field with good and with wrong values."""
    path = pool(s)
    s.post(f"{path}/workers/heartbeat", {"name": "w"})
    mine = {"name": {"any_": [path.rpartition("/")[2]]}}
    for body in filter_bodies(POOL_FILTER):
        both = {**mine, **body} if "name" not in body else {"id": {"any_": [s.uuid("nobody")]}, **body}
        s.post("/work_pools/filter", {"work_pools": both})
        s.post("/work_pools/count", {"work_pools": both})
    for body in filter_bodies(QUEUE_FILTER):
        s.post(f"{path}/queues/filter", {"work_queues": body})
    for body in filter_bodies(WORKER_FILTER):
        s.post(f"{path}/workers/filter", {"workers": body})


@sequence(independent=True)
def bodies_of_queries(s: Script) -> None:
    """Bodies that are no filter; limits; methods that are not there."""
    path = pool(s)
    mine = {"work_pools": {"name": {"any_": [path.rpartition("/")[2]]}}}
    for where, field in (("/work_pools/filter", "work_pools"), ("/work_pools/count", "work_pools")):
        bad_fields(s, "POST", where, {**mine, "limit": 0}, (field,), ignore=OTHERS_ROWS)
    for rest, field in (("queues", "work_queues"), ("workers", "workers")):
        bad_fields(s, "POST", f"{path}/{rest}/filter", {}, (field,))
        paging(s, f"{path}/{rest}/filter", {})
    paging(s, "/work_pools/filter", mine)
    wrong_methods(s, path, ("GET", "PATCH", "DELETE"))
    wrong_methods(s, "/work_pools/filter", ("POST", "GET", "PATCH", "DELETE"))
    wrong_methods(s, f"{path}/queues", ("POST",))
    wrong_methods(s, f"{path}/queues/default", ("GET", "PATCH", "DELETE"))
    wrong_methods(s, f"{path}/workers/heartbeat", ("POST", "DELETE"))
    wrong_methods(s, f"{path}/workers/w", ("DELETE",))
