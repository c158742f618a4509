"""Deployments: bodies, fields and paths that are refused, and lists."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import OTHERS_ROWS, bad_bodies, bad_content_types, bad_fields, bad_ids, paging, wrong_methods
from ._make import flow
from .deployments import DAILY, HOURLY, deploy

GROUP = "deployments"
OBJECTS = ("flows", "flow_runs", "task_runs", "deployments", "work_pools", "work_pool_queues")


@sequence
def blocks_that_are_not_there(s: Script) -> None:
    """Infrastructure and storage must exist."""
    of = flow(s)
    made = deploy(s, of)
    for kind in ("storage_document_id", "infrastructure_document_id"):
        deploy(s, of, **{kind: s.uuid("block")})
        deploy(s, of, **{kind: None})
        s.patch(f"/deployments/{made['id']}", {kind: s.uuid("block")})
        s.patch(f"/deployments/{made['id']}", {kind: None})
    deploy(s, None, flow_id=s.uuid("flow"))


@sequence
def names_in_paths(s: Script) -> None:
    """Names that need quoting in a path, and names nobody has."""
    of = flow(s)
    for name in ("a b", "ü +x", "a.b", "a:b", "a,b", "A"):
        s.post("/deployments/", {"name": f"{name}", "flow_id": of["id"]})
    for quoted in ("a%20b", "%C3%BC%20%2Bx", "a.b", "a:b", "a,b", "A", "nothing", "%2F", "a%2Fb"):
        s.get(f"/deployments/name/{of['name']}/{quoted}")
    s.get(f"/deployments/name/{s.name('nobody')}/A")
    s.get(f"/deployments/name/{of['name']}")
    s.get(f"/deployments/name/{of['name']}/A/")


@sequence(independent=True)
def bad_creates(s: Script) -> None:
    """Bodies and fields that are no deployment."""
    of = flow(s)
    good = {"name": s.name("bad"), "flow_id": of["id"]}
    bad_bodies(s, "POST", "/deployments/", good)
    bad_content_types(s, "POST", "/deployments/", f'{{"name": "x", "flow_id": "{s.uuid("nothing")}"}}')
    fields = (
        "name", "flow_id", "paused", "schedules", "concurrency_limit", "concurrency_options", "version_info",
        "global_concurrency_limit_id", "enforce_parameter_schema", "parameter_openapi_schema", "parameters", "tags",
        "labels", "pull_steps", "work_queue_name", "work_pool_name", "storage_document_id", "description", "path",
        "infrastructure_document_id", "version", "entrypoint", "job_variables", "id", "created_by", "status",
        "worker_pool_queue_id", "work_pool_queue_name",
    )  # fmt: skip
    bad_fields(s, "POST", "/deployments/", good, fields)
    for field in ("parameters", "parameter_openapi_schema"):
        bad_fields(s, "POST", "/deployments/", {**good, "enforce_parameter_schema": True}, (field,))
    for options in ({"collision_strategy": "X"}, {"collision_strategy": "enqueue"}, {}, {"grace_period_seconds": 60}):
        s.post("/deployments/", {**good, "concurrency_options": options})
    for seconds in (59, 60, 86400, 86401, None, "60", 60.0, 60.5):
        options = {"collision_strategy": "ENQUEUE", "grace_period_seconds": seconds, "unknown": 1}
        s.post("/deployments/", {**good, "concurrency_options": options})
    s.post("/deployments/", {**good, "parameters": {"big": "x" * 600_000}}, ignore=("body",))


@sequence(independent=True)
def bad_updates(s: Script) -> None:
    """Bodies and fields that change no deployment."""
    made = deploy(s)
    path = f"/deployments/{made['id']}"
    bad_bodies(s, "PATCH", path, {})
    fields = (
        "name", "flow_id", "paused", "schedules", "concurrency_limit", "concurrency_options", "version_info",
        "global_concurrency_limit_id", "enforce_parameter_schema", "parameter_openapi_schema", "parameters", "tags",
        "labels", "pull_steps", "work_queue_name", "work_pool_name", "storage_document_id", "description", "path",
        "infrastructure_document_id", "version", "entrypoint", "job_variables",
    )  # fmt: skip
    bad_fields(s, "PATCH", path, {}, fields)


@sequence(independent=True)
def bad_schedules(s: Script) -> None:
    """Bodies and fields that are no schedules."""
    made = deploy(s)
    path = f"/deployments/{made['id']}/schedules"
    bad_bodies(s, "POST", path, [])
    good = {"active": True, "parameters": {}, **HOURLY}
    for field in ("active", "schedule", "max_scheduled_runs", "parameters", "slug", "replaces", "unknown"):
        for value in (None, 0, 51, 10**4, -1, 1.5, "x", "true", [], {}, [1], {"cron": "x"}, {"interval": 0}):
            s.post(path, [{**good, field: value}])
    s.post(path, [{}])
    s.post(path, [good, None])
    added = s.post(path, [good])
    for value in (None, 0, 51, -1, 1.5, "x", [], {}, {"cron": "x"}):
        for field in ("active", "schedule", "max_scheduled_runs", "parameters", "slug", "unknown"):
            s.patch(f"{path}/{added['0']['id']}", {field: value})
    s.get(path)


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    for method, template, body in (
        ("GET", "/deployments/{id}", None), ("PATCH", "/deployments/{id}", {}), ("DELETE", "/deployments/{id}", None),
        ("GET", "/deployments/{id}/schedules", None), ("POST", "/deployments/{id}/schedules", []),
        ("POST", "/deployments/{id}/pause_deployment", {}), ("POST", "/deployments/{id}/resume_deployment", {}),
        ("GET", "/deployments/{id}/work_queue_check", None),
        ("POST", "/deployments/{id}/create_flow_run", {}), ("POST", "/deployments/{id}/create_flow_run/bulk", []),
    ):  # fmt: skip
        bad_ids(s, method, template, *(() if body is None else (body,)))
    nothing = "/deployments/00000000-0000-4000-8000-000000000000"
    for id in ("x", "00000000-0000-4000-8000-000000000000"):
        s.patch(f"{nothing}/schedules/{id}", {})
        s.delete(f"{nothing}/schedules/{id}")
    for path, allowed in (
        ("/deployments/", ("POST",)),
        ("/deployments/filter", ("POST",)),
        ("/deployments/count", ("POST",)),
        ("/deployments/paginate", ("POST",)),
        ("/deployments/bulk_delete", ("POST",)),
        ("/deployments/get_scheduled_flow_runs", ("POST",)),
        ("/deployments/name/a/b", ("GET",)),
        (nothing, ("GET", "PATCH", "DELETE")),
        (f"{nothing}/schedules", ("GET", "POST")),
        (f"{nothing}/schedules/00000000-0000-4000-8000-000000000000", ("PATCH", "DELETE")),
        (f"{nothing}/pause_deployment", ("POST",)),
        (f"{nothing}/resume_deployment", ("POST",)),
        (f"{nothing}/create_flow_run", ("POST",)),
        (f"{nothing}/create_flow_run/bulk", ("POST",)),
        (f"{nothing}/schedule", ("POST",)),
        (f"{nothing}/work_queue_check", ("GET",)),
    ):
        wrong_methods(s, path, allowed)


@sequence(independent=True)
def paging_and_sorting(s: Script) -> None:
    """Limits, offsets, pages and sorts over a few deployments of its own."""
    of = flow(s)
    for letter in "cabd":
        s.post("/deployments/", {"name": s.name(f"page-{letter}"), "flow_id": of["id"], "schedules": [HOURLY, DAILY]})
    mine = {"deployments": {"name": {"like_": s.name("")}}}
    paging(s, "/deployments/filter", mine)
    paging(s, "/deployments/paginate", mine, page=True)
    for sort in ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "ID_DESC", "name_asc", "", None, 1, [], {}):
        s.post("/deployments/filter", {**mine, "sort": sort})
        s.post("/deployments/paginate", {**mine, "sort": sort})
    s.post("/deployments/filter", {**mine, "unknown": 1, "limit": 1})
    s.post("/deployments/count", {**mine, "unknown": 1, "sort": "x", "limit": "y"})
    s.post("/deployments/count", mine)


@sequence(independent=True)
def bodies_of_queries(s: Script) -> None:
    """Bodies that are no filter."""
    for path in ("/deployments/filter", "/deployments/count", "/deployments/paginate"):
        mine = {"deployments": {"name": {"any_": [s.name("nobody")]}}, "limit": 0}
        bad_fields(s, "POST", path, mine, OBJECTS, ignore=OTHERS_ROWS)
        for body in ([], [1], "x", 1, True, {"deployments": {"unknown": 1}}, {"deployments": {"name": {"any": []}}}):
            s.post(path, body)
