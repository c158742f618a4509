"""Deployments: create, read, change, delete. What is refused, and lists, are in `deployments_asked`."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._bad_input import bad_fields
from ._make import flow, limit, work_pool

ANCHOR = "2026-01-01T00:00:00Z"
HOURLY = {"schedule": {"interval": 3600, "anchor_date": ANCHOR}}
DAILY = {"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}}
SCHEMA = {
    "type": "object",
    "title": "Parameters",
    "properties": {
        "x": {"type": "integer", "title": "x", "position": 0},
        "y": {"type": "string", "title": "y", "default": "a", "position": 1},
        "when": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": None},
    },
    "required": ["x"],
}
TEMPLATE = {
    "job_configuration": {"image": "{{ image }}", "cpu": "{{ cpu }}"},
    "variables": {
        "type": "object",
        "properties": {
            "image": {"type": "string"},
            "cpu": {"type": "integer", "default": 1},
            "env": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        },
        "required": ["image"],
    },
}


def deploy(s: Script, of: Ref | None = None, /, **more: object) -> Ref:
    """A deployment, made by the route under test."""
    of = of or flow(s)
    return s.post("/deployments/", {"name": s.name(f"deployment-{len(s.steps)}"), "flow_id": of["id"], **more})


def read(s: Script, made: Ref, **options: Any) -> None:
    """Everything that is known of a deployment."""
    s.get(f"/deployments/{made['id']}", **options)
    s.rows("deployment", id=made["id"])
    s.rows("deployment_schedule", order_by="slug", deployment_id=made["id"])


@sequence
def create_with_least(s: Script) -> None:
    """Only a name and a flow."""
    made = deploy(s)
    read(s, made)


@sequence
def create_as_the_client_does(s: Script) -> None:
    """All members that `flow.deploy()` and `prefect deploy` send."""
    of = flow(s, labels={"team": "a", "prefect.flow.id": "mine"})
    work_pool(s, base_job_template=TEMPLATE)
    body = {
        "flow_id": of["id"],
        "name": s.name("deployment"),
        "paused": False,
        "schedules": [
            {"active": True, "parameters": {"x": 2, "y": None}, "max_scheduled_runs": 3, "slug": "hourly", **HOURLY},
            {"active": False, "replaces": "old", **DAILY},
        ],
        "concurrency_limit": 2,
        "concurrency_options": {"collision_strategy": "CANCEL_NEW"},
        "enforce_parameter_schema": True,
        "parameter_openapi_schema": SCHEMA,
        "parameters": {"x": 1},
        "tags": ["b", "a", "b"],
        "labels": {"mine": True, "n": 1.5},
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": "/x"}}],
        "work_pool_name": s.name("pool"),
        "work_queue_name": "other",
        "job_variables": {"image": "ü", "cpu": 2},
        "description": "What it is\nfor.",
        "path": "/x",
        "entrypoint": "flow.py:main",
        "version": "v1",
        "version_info": {"type": "prefect:simple", "version": "v1", "branch": "main"},
    }
    made = s.post("/deployments/", body)
    read(s, made)
    s.rows("concurrency_limit_v2", id=made["global_concurrency_limit"]["id"])
    s.rows("work_queue", id=made["work_queue_id"])
    s.get(f"/deployments/name/{of['name']}/{s.name('deployment')}")
    s.post("/deployments/", {**body, "tags": ["c"], "schedules": [HOURLY], "concurrency_limit": 5})
    read(s, made)
    s.post("/deployments/", {"flow_id": of["id"], "name": s.name("deployment")})
    read(s, made)
    s.post("/deployments/", {"flow_id": of["id"], "name": s.name("deployment"), "concurrency_limit": None})
    read(s, made)


@sequence
def upsert_sets_what_is_given(s: Script) -> None:
    """Each member by itself, over a deployment that has all."""
    of = flow(s)
    work_pool(s)
    key = {"flow_id": of["id"], "name": s.name("deployment")}
    made = s.post(
        "/deployments/",
        {
            **key, "paused": True, "tags": ["a"], "labels": {"a": 1}, "description": "d", "version": "1", "path": "p",
            "entrypoint": "e", "pull_steps": [{}], "parameters": {"x": 1}, "job_variables": {"a": 1},
            "parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": False, "work_pool_name": s.name("pool"),
            "concurrency_options": {"collision_strategy": "ENQUEUE", "grace_period_seconds": 90},
        },
    )  # fmt: skip
    read(s, made)
    for body in (
        {"paused": False}, {"tags": []}, {"labels": {"b": 2}}, {"labels": None}, {"description": None},
        {"version": "2"}, {"path": None}, {"entrypoint": "f"}, {"pull_steps": None}, {"pull_steps": []},
        {"parameters": {}}, {"job_variables": {}}, {"parameter_openapi_schema": {}},
        {"parameter_openapi_schema": None}, {"enforce_parameter_schema": True}, {"concurrency_options": None},
        {"work_pool_name": None}, {"work_queue_name": None}, {"work_queue_name": s.name("queue")},
    ):  # fmt: skip
        s.post("/deployments/", {**key, **body})
        s.rows("deployment", id=made["id"])
    s.get(f"/deployments/{made['id']}")


@sequence
def work_queues(s: Script) -> None:
    """By pool and queue, pool, queue; queues are made, pools are not."""
    of = flow(s)
    work_pool(s)
    pool = s.name("pool")
    for given in (
        {"work_pool_name": pool}, {"work_pool_name": pool, "work_queue_name": "default"},
        {"work_pool_name": pool, "work_queue_name": "new"}, {"work_pool_name": pool, "work_queue_name": "new"},
        {"work_pool_name": s.name("no-pool")}, {"work_pool_name": s.name("no-pool"), "work_queue_name": "x"},
        {"work_queue_name": s.name("alone")}, {"work_pool_name": "", "work_queue_name": ""},
    ):  # fmt: skip
        made = deploy(s, of, **given)
        s.rows("work_queue", columns=["name", "priority", "description", "status"], id=made["work_queue_id"])
    for given in (
        {"work_pool_name": pool}, {"work_pool_name": pool, "work_queue_name": "newer"}, {"work_pool_name": None},
        {"work_queue_name": s.name("alone")}, {"work_queue_name": None}, {"work_pool_name": ""},
    ):  # fmt: skip
        made = deploy(s, of)
        s.patch(f"/deployments/{made['id']}", given)
        s.get(f"/deployments/{made['id']}")


@sequence
def job_variables(s: Script) -> None:
    """They must suit the pool's template; what it requires may come later."""
    of = flow(s)
    work_pool(s, base_job_template=TEMPLATE)
    pool = s.name("pool")
    made = deploy(s, of, work_pool_name=pool)
    for variables in (
        {}, {"image": "a"}, {"image": 1}, {"cpu": "x"}, {"cpu": None}, {"env": {"A": 1}}, {"other": [1]},
        {"env": {"A": "b"}}, {"image": None}, None, [],
    ):  # fmt: skip
        deploy(s, of, work_pool_name=pool, job_variables=variables)
        s.patch(f"/deployments/{made['id']}", {"work_pool_name": pool, "job_variables": variables})
        s.patch(f"/deployments/{made['id']}", {"job_variables": variables})
    s.get(f"/deployments/{made['id']}")


@sequence
def parameters(s: Script) -> None:
    """Parameters must conform to the schema where that is asked for; nothing of it need be there yet."""
    of = flow(s)
    made = deploy(s, of, parameter_openapi_schema=SCHEMA, parameters={"x": 1})
    for given in ({}, {"x": 2}, {"x": "two"}, {"y": 1}, {"x": 1, "y": "b", "z": 0}, {"when": 5}, {"y": None}):
        for enforce in (True, False):
            enforced = {"enforce_parameter_schema": enforce, "parameters": given}
            deploy(s, of, parameter_openapi_schema=SCHEMA, **enforced)
            s.patch(f"/deployments/{made['id']}", enforced)
        s.patch(f"/deployments/{made['id']}", {"parameters": given})
    s.get(f"/deployments/{made['id']}")
    for schema in (
        {"type": "nothing"}, {"type": "object", "properties": {"x": {"$ref": "#/nowhere"}}}, {"required": "x"},
        {"properties": []}, {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
        {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"x": {"type": "integer"}}},
    ):  # fmt: skip
        for enforce in (True, False):
            deploy(s, of, parameter_openapi_schema=schema, enforce_parameter_schema=enforce, parameters={"x": "y"})
        s.patch(f"/deployments/{made['id']}", {"parameter_openapi_schema": schema, "enforce_parameter_schema": True})
    s.get(f"/deployments/{made['id']}")


@sequence
def hydrated_parameters(s: Script) -> None:
    """A PATCH hydrates parameters, a POST keeps them."""
    of = flow(s)
    s.seed("variable", name=s.name("known"), value={"a": [1]}, tags=[])
    made = deploy(s, of, enforce_parameter_schema=False)
    for given in (
        {"__prefect_kind": "json", "value": '{"a": 1}'}, {"__prefect_kind": "json", "value": "{"},
        {"__prefect_kind": "json"}, {"__prefect_kind": "none", "value": {"b": 2}}, {"__prefect_kind": "none"},
        {"__prefect_kind": "jinja", "template": "{{ 1 + 1 }} {{ x.y.z }}"}, {"__prefect_kind": "jinja"},
        {"__prefect_kind": "jinja", "template": "{{ 1 +"}, {"__prefect_kind": "jinja", "template": "{{ 1 / 0 }}"},
        {"__prefect_kind": "jinja", "template": "{% for a in range(1000) %}x{% endfor %}"},
        {"__prefect_kind": "jinja", "template": "{{ 3|apnumber }}"},
        {"__prefect_kind": "workspace_variable", "variable_name": s.name("known")},
        {"__prefect_kind": "workspace_variable", "variable_name": s.name("unknown")},
        {"__prefect_kind": "workspace_variable"}, {"__prefect_kind": "other", "value": 3}, {"__prefect_kind": None},
        {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "[{{ 1 }}]"}},
        [{"__prefect_kind": "json", "value": "1"}, {"__prefect_kind": "json"}],
    ):  # fmt: skip
        s.post("/deployments/", {
            "name": s.name("posted"), "flow_id": of["id"], "enforce_parameter_schema": False, "parameters": {"x": given}
        })  # fmt: skip
        s.patch(f"/deployments/{made['id']}", {"parameters": {"x": given}})
        s.get(f"/deployments/{made['id']}")
    s.patch(f"/deployments/{made['id']}", {"parameters": {"__prefect_kind": "json", "value": '{"a": 1}'}})
    s.get(f"/deployments/{made['id']}")


@sequence
def limits(s: Script) -> None:
    """A limit of its own, a global one, and both in turns."""
    of = flow(s)
    globally = limit(s, 7)
    made = deploy(s, of, concurrency_limit=2)
    for body in (
        {"concurrency_limit": 3}, {"concurrency_limit": 3}, {"concurrency_limit": None}, {"concurrency_limit": None},
        {"concurrency_limit": 1}, {"global_concurrency_limit_id": globally["id"]}, {"concurrency_limit": 9},
        {"global_concurrency_limit_id": None}, {"global_concurrency_limit_id": s.uuid("nothing")},
        {"global_concurrency_limit_id": globally["id"], "concurrency_limit": 4},
        {"concurrency_options": {"collision_strategy": "ENQUEUE"}}, {"concurrency_options": None},
        {"concurrency_options": {"collision_strategy": "CANCEL_NEW", "grace_period_seconds": 60}},
    ):  # fmt: skip
        s.patch(f"/deployments/{made['id']}", body)
        read(s, made)
    s.rows("concurrency_limit_v2", columns=["limit", "active"], id=globally["id"])
    deploy(s, of, global_concurrency_limit_id=globally["id"])
    deploy(s, of, global_concurrency_limit_id=s.uuid("nothing"))
    deploy(s, of, global_concurrency_limit_id=globally["id"], concurrency_limit=4)
    s.delete(f"/deployments/{made['id']}")
    s.rows("concurrency_limit_v2", columns=["limit", "active"], id=globally["id"])


@sequence
def update(s: Script) -> None:
    """Each member that may be changed."""
    made = deploy(s, schedules=[HOURLY, DAILY], tags=["a"])
    for body in (
        {}, {"version": "2"}, {"description": "d"}, {"paused": True}, {"tags": ["x", "y"]}, {"path": "p"},
        {"entrypoint": "e"}, {"pull_steps": [{"a": {"b": 1}}]}, {"pull_steps": None}, {"job_variables": {"a": 1}},
        {"job_variables": None}, {"parameters": {"a": None}}, {"parameter_openapi_schema": SCHEMA},
        {"parameter_openapi_schema": None}, {"enforce_parameter_schema": False}, {"version": None},
        {"version_info": {"type": "x", "version": "3"}}, {"schedules": []}, {"paused": False, "tags": []},
        {"schedules": [HOURLY]}, {"schedules": [{"active": False}]}, {"parameters": None},
        {"enforce_parameter_schema": None}, {"work_queue_name": s.name("queue"), "worker_pool_name": "x"},
    ):  # fmt: skip
        s.patch(f"/deployments/{made['id']}", body)
        read(s, made)
    s.patch(f"/deployments/{s.uuid()}", {"tags": []})


@sequence
def update_schedules_with_slugs(s: Script) -> None:
    """Known slugs are changed, others made, none deleted; and names may be changed."""
    of = flow(s)
    made = deploy(s, of, schedules=[{"slug": "a", **HOURLY}, {"slug": "b", "parameters": {"x": 1}, **DAILY}])
    for schedules in (
        [{"slug": "a", "active": False}], [{"slug": "c", **HOURLY}], [{"slug": "d"}], [HOURLY], [],
        [{"slug": "b", "replaces": "a"}], [{"slug": "e", "replaces": "a"}],
        [{"slug": "f", "replaces": "none", **DAILY}],
        [{"slug": "g", "replaces": "none"}],
        [{"slug": "x", "replaces": "e"}, {"slug": "y", "replaces": "e"}],
        [{"slug": "b", "replaces": "c"}, {"slug": "c", "replaces": "b", "max_scheduled_runs": 2}],
        [{"slug": "b", "schedule": {"rrule": "FREQ=DAILY;COUNT=3"}, "parameters": {"y": None}}],
    ):  # fmt: skip
        s.patch(f"/deployments/{made['id']}", {"schedules": schedules})
        read(s, made, unordered=("body.schedules",))  # several may have been changed at the same moment
    some = deploy(s, of, schedules=[{"slug": "a", **HOURLY}, DAILY])
    s.patch(f"/deployments/{some['id']}", {"schedules": [{"slug": "a", **DAILY}]})
    read(s, some)
    deploy(s, of, schedules=[{"slug": "a", **HOURLY}, {"slug": "a", **DAILY}])


@sequence
def schedules(s: Script) -> None:
    """Adding, reading, changing and deleting schedules."""
    made = deploy(s)
    path = f"/deployments/{made['id']}/schedules"
    s.get(path)
    added = s.post(path, [
        {"slug": "a", "max_scheduled_runs": 4, "parameters": {"x": [None]}, **HOURLY}, {"active": False, **DAILY},
        {"schedule": {"rrule": "DTSTART:20240101T000000\nFREQ=WEEKLY;BYDAY=MO", "timezone": "Asia/Tokyo"}},
    ])  # fmt: skip
    s.get(path)
    s.post(path, [])
    s.post(path, [{"slug": "a", **DAILY}])
    s.post(path, [{"slug": "b", **DAILY}, {"slug": "b", **HOURLY}])
    s.get(path)
    for body in (
        {"active": False}, {"parameters": {"y": 1}}, {}, {"slug": "z"}, {"max_scheduled_runs": 7}, DAILY,
        {"active": None, "schedule": None, "slug": None, "max_scheduled_runs": None}, {"replaces": "q"},
        {"schedule": {"interval": 60.5, "anchor_date": ANCHOR, "timezone": "America/New_York"}},
    ):  # fmt: skip
        s.patch(f"{path}/{added['0']['id']}", body)
        s.get(path)
    s.patch(f"{path}/{added['1']['id']}", {"slug": "z"})
    other = deploy(s)
    s.patch(f"/deployments/{other['id']}/schedules/{added['0']['id']}", {"active": True})
    s.delete(f"/deployments/{other['id']}/schedules/{added['0']['id']}")
    s.delete(f"{path}/{added['0']['id']}")
    s.delete(f"{path}/{added['0']['id']}")
    s.get(path)
    read(s, made)


@sequence
def pause_and_resume(s: Script) -> None:
    """A paused deployment loses the runs that its schedules have made."""
    of = flow(s)
    made = deploy(s, of)
    runs = _waiting_runs(s, of, made)
    for action in ("resume", "pause", "pause", "resume"):
        s.post(f"/deployments/{made['id']}/{action}_deployment")
        s.get(f"/deployments/{made['id']}")
    for run in runs:
        s.get(f"/flow_runs/{run['id']}")


def _waiting_runs(s: Script, of: Ref, made: Ref) -> list[Ref]:
    """Runs that wait, in the future and in the past, of schedules and not, and one that has begun before."""
    runs = []
    for seconds in (3600, -3600):
        for automatic, count in ((True, 0), (False, 0), (True, 1)):
            state = {"type": "SCHEDULED", "state_details": {"scheduled_time": s.now(seconds)}}
            run = s.post(
                "/flow_runs/",
                {"flow_id": of["id"], "deployment_id": made["id"], "name": s.name(f"run-{len(runs)}"), "state": state},
            )
            s.update("flow_run", {"id": run["id"]}, auto_scheduled=automatic, run_count=count)
            runs.append(run)
    return runs


@sequence
def what_goes_with_the_runs_of_schedules(s: Script) -> None:
    """Changing a deployment or its schedules deletes runs that would be different now."""
    for change in ("upsert", "patch", "schedule", "unschedule", "delete"):
        of = flow(s)
        made = deploy(s, of, schedules=[HOURLY])
        runs = _waiting_runs(s, of, made)
        path = f"/deployments/{made['id']}"
        match change:
            case "upsert":
                s.post("/deployments/", {"flow_id": of["id"], "name": made["name"]})
            case "patch":
                s.patch(path, {"tags": ["new"]})
            case "schedule":
                s.patch(f"{path}/schedules/{made['schedules']['0']['id']}", {"active": False})
            case "unschedule":
                s.delete(f"{path}/schedules/{made['schedules']['0']['id']}")
            case "delete":
                s.delete(path)
        for run in runs:
            s.get(f"/flow_runs/{run['id']}")


@sequence
def delete(s: Script) -> None:
    """A deleted deployment takes its schedules and its limit along; its flow stays."""
    of = flow(s)
    made = deploy(s, of, schedules=[HOURLY], concurrency_limit=1)
    run = s.post("/flow_runs/", {"flow_id": of["id"], "deployment_id": made["id"], "state": {"type": "RUNNING"}})
    s.delete(f"/deployments/{made['id']}")
    s.get(f"/deployments/{made['id']}")
    s.get(f"/deployments/{made['id']}/schedules")
    s.get(f"/flow_runs/{run['id']}")
    s.rows("concurrency_limit_v2", id=made["global_concurrency_limit"]["id"])
    s.delete(f"/deployments/{made['id']}")
    other = deploy(s, of)
    s.delete(f"/flows/{of['id']}")
    s.get(f"/deployments/{other['id']}")


@sequence
def delete_many(s: Script) -> None:
    """Those that match, fifty at most."""
    of = flow(s)
    for letter in "abc":
        s.post("/deployments/", {"name": s.name(f"many-{letter}"), "flow_id": of["id"], "tags": [letter]})
    mine = {"name": {"like_": s.name("")}}
    s.post("/deployments/bulk_delete", {"deployments": {**mine, "tags": {"all_": ["a"]}}})
    s.post("/deployments/bulk_delete", {"deployments": {**mine, "tags": {"all_": ["a"]}}})
    for limit_ in (0, 51, -1, "x", 1):
        s.post("/deployments/bulk_delete", {"deployments": mine, "limit": limit_})
    s.post("/deployments/bulk_delete", {"deployments": {"id": {"any_": []}}})
    s.post("/deployments/count", {"deployments": mine})
    nobody = {"deployments": {"name": {"any_": [s.name("nobody")]}}}
    bad_fields(s, "POST", "/deployments/bulk_delete", {**nobody, "limit": 1}, ("limit",))
    for bad in ([], "x", 1, {"unknown": 1}, {"name": {"any": []}}):
        s.post("/deployments/bulk_delete", {"deployments": bad})
