"""Flow runs made from deployments, and those that are due."""

from __future__ import annotations

from ..script import Ref, Script, sequence
from ._bad_input import bad_bodies, bad_fields, paging
from ._make import deployment, flow, history, task_run, work_pool
from .deployments import ANCHOR, SCHEMA, TEMPLATE, deploy

GROUP = "deployments"


def run(s: Script, made: Ref, /, **body: object) -> Ref:
    """A run of a deployment."""
    return s.post(f"/deployments/{made['id']}/create_flow_run", body)


@sequence
def run_with_least(s: Script) -> None:
    """Nothing is given: everything comes from the deployment."""
    of = flow(s, labels={"team": "a"})
    made = deploy(s, of, tags=["a"], labels={"mine": 1}, parameters={"x": 1}, version="v1", work_queue_name="q")
    history(s, run(s, made))
    s.post(f"/deployments/{made['id']}/create_flow_run")
    s.post(f"/deployments/{s.uuid()}/create_flow_run", {})


@sequence
def run_as_the_client_does(s: Script) -> None:
    """All members that `run_deployment` sends."""
    of = flow(s)
    work_pool(s, base_job_template=TEMPLATE)
    made = deploy(
        s, of, tags=["a"], parameters={"x": 1, "z": 1}, parameter_openapi_schema=SCHEMA, job_variables={"image": "i"},
        work_pool_name=s.name("pool"),
    )  # fmt: skip
    parent = s.post("/flow_runs/", {"flow_id": of["id"], "state": {"type": "RUNNING"}})
    task = task_run(s, parent, state={"type": "PENDING"})
    body = {
        "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": s.now(60)}},
        "name": s.name("run"),
        "parameters": {"x": 5, "y": "b"},
        "enforce_parameter_schema": True,
        "context": {"c": 1},
        "empirical_policy": {"retries": 1},
        "tags": ["a"],
        "labels": {"l": 1, "prefect.flow.id": "x"},
        "idempotency_key": s.name("key"),
        "parent_task_run_id": task["id"],
        "work_queue_name": "new",
        "job_variables": {"cpu": 3},
    }
    made_run = run(s, made, **body)
    history(s, made_run)
    s.get(f"/task_runs/{task['id']}")
    s.rows("work_queue", columns=["name", "priority"], id=made_run["work_queue_id"])
    run(s, made, **{**body, "name": "other", "parameters": {"x": 6}})
    run(s, made, **{**body, "name": "other", "parameters": {"x": "six"}})
    history(s, made_run)


@sequence
def first_states(s: Script) -> None:
    """The first state may be any; by default the run is scheduled for now."""
    made = deploy(s)
    for type_ in ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "PAUSED"):
        history(s, run(s, made, state={"type": type_, "name": "Mine", "message": "m"}))
    run(s, made, state=None)
    run(s, made, state={"type": "x"})
    run(s, made, parent_task_run_id=s.uuid("task run"))


@sequence
def parameters_of_runs(s: Script) -> None:
    """The deployment's, overlaid; checked against the schema where that is asked for."""
    of = flow(s)
    for enforce in (True, False):
        made = deploy(s, of, parameters={"y": "d"}, parameter_openapi_schema=SCHEMA, enforce_parameter_schema=enforce)
        for given in ({}, {"x": 1}, {"x": "1"}, {"x": 1, "y": 2}, {"x": 1, "more": {"a": None}}, {"x": None}):
            for override in (None, True, False):
                answered = run(s, made, parameters=given, enforce_parameter_schema=override)
        s.get(f"/flow_runs/{answered['id']}")
    bare = deploy(s, of, parameter_openapi_schema=None)
    run(s, bare)
    run(s, bare, enforce_parameter_schema=False)
    odd = deployment(s, of, parameter_openapi_schema={"properties": {"x": {"$ref": "#/nowhere"}}})
    run(s, odd, parameters={"x": 1}, enforce_parameter_schema=True)


@sequence
def hydrated_parameters_of_runs(s: Script) -> None:
    """`__prefect_kind` in the deployment's parameters and in the run's."""
    of = flow(s)
    s.seed("variable", name=s.name("known"), value=5, tags=[])
    known = {"__prefect_kind": "workspace_variable", "variable_name": s.name("known")}
    made = deploy(s, of, parameters={"v": known, "j": {"__prefect_kind": "json", "value": "[1, 2]"}})
    run(s, made)
    for given in (
        {"__prefect_kind": "json", "value": "{"}, {"__prefect_kind": "json"},
        {"__prefect_kind": "none", "value": known}, {"__prefect_kind": "jinja", "template": {"__prefect_kind": "json"}},
        {"__prefect_kind": "jinja", "template": "{{ flow_run }}-{{ 2 * 3 }}"},
        {"__prefect_kind": "jinja", "template": "{{ x"},
        {"__prefect_kind": "workspace_variable", "variable_name": s.name("unknown")},
        {"__prefect_kind": "workspace_variable"}, {"a": [known, {"__prefect_kind": "none"}]}, {"a": [known]},
    ):  # fmt: skip
        run(s, made, parameters={"x": given})
        s.post(f"/deployments/{made['id']}/create_flow_run/bulk", [{"parameters": {"x": given}}, {}])


@sequence
def job_variables_and_queues_of_runs(s: Script) -> None:
    """A run must have all that its pool's template requires; queues are made."""
    of = flow(s)
    work_pool(s, base_job_template=TEMPLATE)
    made = deploy(s, of, work_pool_name=s.name("pool"), job_variables={"cpu": 2})
    for variables in ({}, {"image": "a"}, {"image": 1}, {"image": "a", "cpu": None}, {"image": "a", "more": 1}, None):
        run(s, made, job_variables=variables)
        run(s, made, job_variables=variables, idempotency_key=s.name(f"key-{len(s.steps)}"))
    queued = run(s, made, job_variables={"image": "a"}, work_queue_name="other")
    s.get(f"/flow_runs/{queued['id']}")
    run(s, made, job_variables={"image": "a"}, work_queue_name="")
    run(s, made, job_variables={"image": "a"}, work_queue_name="a/b")
    bare = deploy(s, of)
    run(s, bare, job_variables={"image": 1})
    run(s, bare, work_queue_name="other")
    plain = deploy(s, of)
    for variables in ({}, {"a": 1}, None):
        run(s, plain, job_variables=variables)


@sequence
def limited_runs(s: Script) -> None:
    """Runs of a deployment with a limit are made, whatever the limit says."""
    made = deploy(s, concurrency_limit=1, concurrency_options={"collision_strategy": "CANCEL_NEW"})
    for _ in range(2):
        one = run(s, made)
        s.post(f"/flow_runs/{one['id']}/set_state", {"state": {"type": "PENDING"}})
        history(s, one)


@sequence
def many_runs(s: Script) -> None:
    """Runs in bulk: what is wrong with one is told of that one."""
    of = flow(s)
    work_pool(s, base_job_template=TEMPLATE)
    made = deploy(
        s, of, parameters={"x": 1}, parameter_openapi_schema=SCHEMA, work_pool_name=s.name("pool"),
        job_variables={"image": "i"},
    )  # fmt: skip
    path = f"/deployments/{made['id']}/create_flow_run/bulk"
    key = s.name("key")
    answer = s.post(
        path,
        [
            {}, {"parameters": {"x": "a"}}, {"job_variables": {"cpu": "a"}}, {"work_queue_name": "new"},
            {"work_queue_name": "new", "name": s.name("named")}, {"idempotency_key": key}, {"idempotency_key": key},
            {"enforce_parameter_schema": False, "parameters": {"x": "a"}}, {"state": {"type": "PENDING"}},
        ],
    )  # fmt: skip
    s.get(f"/flow_runs/{answer['results']['3']['flow_run_id']}")
    s.get(f"/flow_runs/{answer['results']['8']['flow_run_id']}")
    s.post(path, [])
    s.post(path, [{}] * 101)
    s.post(f"/deployments/{s.uuid()}/create_flow_run/bulk", [])
    bare = deploy(s, of, parameter_openapi_schema=None)
    s.post(f"/deployments/{bare['id']}/create_flow_run/bulk", [{}, {"work_queue_name": "q"}])


@sequence
def due_runs(s: Script) -> None:
    """What a process that serves deployments asks for; whose runs are asked for is ready."""
    of = flow(s)
    made, other = deploy(s, of), deploy(s, of)
    for seconds in (60, -60, 3600):
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": s.now(seconds)}}
        run(s, made, name=s.name(f"run {seconds}"), state=state)
    run(s, made, state={"type": "PENDING"})
    run(s, other, name=s.name("other"), state={"type": "SCHEDULED", "state_details": {"scheduled_time": s.now(-5)}})
    path = "/deployments/get_scheduled_flow_runs"
    for body in (
        {"deployment_ids": [made["id"]]}, {"deployment_ids": [made["id"], other["id"]]}, {"deployment_ids": []},
        {"deployment_ids": [made["id"]], "scheduled_before": s.now(90)},
        {"deployment_ids": [made["id"]], "scheduled_before": s.now(-90)},
        {"deployment_ids": [made["id"]], "scheduled_before": None, "limit": 1},
        {"deployment_ids": [s.uuid()]}, {"deployment_ids": [made["id"], made["id"]], "limit": 0},
    ):  # fmt: skip
        s.post(path, body)
    s.post("/deployments/filter", {"deployments": {"id": {"any_": [made["id"]]}}}, ignore=("body[].status",))
    paging(s, path, {"deployment_ids": [s.uuid()]})
    bad_fields(s, "POST", path, {"deployment_ids": [s.uuid()]}, ("deployment_ids", "scheduled_before"))
    bad_bodies(s, "POST", path, {"deployment_ids": []})


@sequence(independent=True)
def bad_runs(s: Script) -> None:
    """Bodies and fields that are no run of a deployment."""
    made = deploy(s)
    path = f"/deployments/{made['id']}/create_flow_run"
    bad_bodies(s, "POST", path, {})
    fields = (
        "state", "name", "parameters", "enforce_parameter_schema", "context", "infrastructure_document_id", "labels",
        "empirical_policy", "tags", "idempotency_key", "parent_task_run_id", "work_queue_name", "job_variables",
        "flow_id", "work_pool_name",
    )  # fmt: skip
    bad_fields(s, "POST", path, {}, fields)
    bad_bodies(s, "POST", f"{path}/bulk", [])
    for value in (None, 1, "x", [], {"tags": 1}, {"unknown": 1}):
        s.post(f"{path}/bulk", [{}, value])


@sequence
def work_queue_check(s: Script) -> None:
    """Old queues choose deployments by a filter."""
    of = flow(s)
    pool, _ = work_pool(s)
    made = deploy(s, of, tags=["a", "b"])
    for number, chosen in enumerate((
        None, {"tags": ["a"], "deployment_ids": None}, {"tags": ["c"], "deployment_ids": None},
        {"tags": None, "deployment_ids": [made["id"]]}, {"tags": [], "deployment_ids": []},
        {"tags": ["a"], "deployment_ids": [s.uuid()]},
    )):  # fmt: skip
        s.seed(
            "work_queue", name=s.name(f"queue-{number}"), priority=number + 2, work_pool_id=pool["id"], filter=chosen,
            status="NOT_READY",
        )  # fmt: skip
    s.get(f"/deployments/{made['id']}/work_queue_check", unordered=("body",))


@sequence
def scheduling(s: Script) -> None:
    """Schedules make runs for a time of the client's."""
    hourly = {"interval": 3600, "anchor_date": ANCHOR}
    made = deploy(
        s, tags=["a"], parameters={"x": 1}, schedules=[
            {"schedule": hourly, "slug": "h", "parameters": {"y": 2}}, {"schedule": {"cron": "0 5 * * *"}},
            {"schedule": {"cron": "* * * * *"}, "active": False},
        ],
    )  # fmt: skip
    path = f"/deployments/{made['id']}/schedule"
    mine = {"deployments": {"id": {"any_": [made["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
    start = "2030-06-01T00:30:00Z"
    for body in (
        {"start_time": start, "end_time": "2030-06-01T06:00:00Z", "min_runs": 3},
        {"start_time": start, "end_time": "2030-06-01T06:00:00Z", "min_runs": 3},
        {"start_time": start, "min_time": 7200, "min_runs": 1, "max_runs": 9},
        {"start_time": start, "min_time": 86400.0, "min_runs": 1, "max_runs": 4},
        {"start_time": start, "min_runs": 0, "max_runs": 1, "min_time": 0},
    ):
        s.post(path, body)
        s.post("/flow_runs/filter", mine)
    s.post(f"/deployments/{s.uuid()}/schedule", {})
    bad_fields(s, "POST", path, {"start_time": start, "max_runs": 1}, ("start_time", "end_time", "min_time"))
