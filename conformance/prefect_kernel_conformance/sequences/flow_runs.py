"""Flow runs: create, read, change, delete, labels, input."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import BAD_IDS, bad_bodies, bad_content_types, bad_fields, bad_ids, wrong_methods
from ._make import deployment, flow, flow_run, history, set_state, task_run, work_pool


@sequence
def create_with_least(s: Script) -> None:
    """Only a flow: name and state are made by the server."""
    parent = flow(s)
    run = s.post("/flow_runs/", {"flow_id": parent["id"]})
    history(s, run)


@sequence
def create_as_the_client_does(s: Script) -> None:
    """All fields that the client sends."""
    parent = flow(s)
    body = {
        "name": s.name("run"),
        "flow_id": parent["id"],
        "deployment_id": None,
        "flow_version": "abc",
        "parameters": {"x": 1, "y": [1.5, None, {"z": "ü"}]},
        "context": {"c": 1},
        "parent_task_run_id": None,
        "state": {
            "type": "PENDING",
            "name": "Pending",
            "message": None,
            "data": None,
            "state_details": {"transition_id": s.uuid("transition"), "untrackable_result": False},
        },
        "empirical_policy": {"retries": 2, "retry_delay": 3, "max_retries": 0, "retry_delay_seconds": 0.0},
        "tags": ["b", "a", "a"],
        "labels": {"x": 1, "y": "z"},
        "work_queue_name": None,
        "idempotency_key": s.name("key"),
    }
    run = s.post("/flow_runs/", body)
    history(s, run)
    s.post("/flow_runs/", body)
    s.post("/flow_runs/", {**body, "name": "other", "tags": [], "state": {"type": "COMPLETED"}})
    history(s, run)


@sequence
def create_in_each_state(s: Script) -> None:
    """The first state may be any."""
    parent = flow(s)
    for type_ in (
        "SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING",
    ):  # fmt: skip
        run = s.post("/flow_runs/", {"flow_id": parent["id"], "state": {"type": type_}})
        history(s, run)


@sequence
def create_scheduled(s: Script) -> None:
    """A scheduled time in the future, in the past, and none."""
    parent = flow(s)
    for time in (s.now(3600), s.now(-3600), None):
        details = {} if time is None else {"scheduled_time": time}
        state = {"type": "SCHEDULED", "name": "Mine", "message": "soon", "state_details": details}
        history(s, s.post("/flow_runs/", {"flow_id": parent["id"], "state": state}))


@sequence
def create_with_data(s: Script) -> None:
    """A result in the first state becomes an artifact, unless it is not persisted."""
    parent = flow(s)
    for data in ({"type": "unpersisted"}, {"type": "reference", "k": 1}, 5, "text", [], {}, None, False, [1, None]):
        state = {"type": "COMPLETED", "data": data}
        history(s, s.post("/flow_runs/", {"flow_id": parent["id"], "state": state}))


@sequence
def create_for_nothing(s: Script) -> None:
    """A flow, deployment, task run, work pool or queue that does not exist."""
    s.post("/flow_runs/", {"flow_id": s.uuid("flow")})
    parent = flow(s)
    s.post("/flow_runs/", {"flow_id": parent["id"], "deployment_id": s.uuid("deployment")})
    s.post("/flow_runs/", {"flow_id": parent["id"], "parent_task_run_id": s.uuid("task run")})
    s.post("/flow_runs/", {"flow_id": parent["id"], "infrastructure_document_id": s.uuid("block")})
    s.post("/flow_runs/", {"flow_id": parent["id"], "work_pool_name": s.name("no-pool")})
    s.post("/flow_runs/", {"flow_id": parent["id"], "work_queue_name": s.name("no-queue")})


@sequence
def create_in_a_work_pool(s: Script) -> None:
    """By the name of a pool, and of a queue of it."""
    parent = flow(s)
    pool, _ = work_pool(s)
    s.seed("work_queue", name="other", priority=2, work_pool_id=pool["id"], status="NOT_READY")
    for queue in (None, "default", "other", "none"):
        body = {"flow_id": parent["id"], "work_pool_name": s.name("pool"), "work_queue_name": queue}
        run = s.post("/flow_runs/", body)
        s.get(f"/flow_runs/{run['id']}")


@sequence
def create_for_a_deployment(s: Script) -> None:
    """A run that says which deployment it belongs to."""
    parent = flow(s)
    _, queue = work_pool(s)
    made = deployment(s, parent, work_queue_id=queue["id"], work_queue_name="default", version="v7", labels={"d": 1})
    body = {"flow_id": parent["id"], "deployment_id": made["id"], "job_variables": {"a": 1}}
    history(s, s.post("/flow_runs/", body))


@sequence
def create_a_subflow(s: Script) -> None:
    """The tracking task run of the parent mirrors the states of the subflow."""
    parent = flow_run(s)
    task = task_run(s, parent, state={"type": "PENDING"})
    child = flow_run(s, parent_task_run_id=task["id"])
    for type_ in ("RUNNING", "COMPLETED"):
        set_state(s, child, type_)
        s.get(f"/task_runs/{task['id']}")
    s.get(f"/task_run_states/?task_run_id={task['id']}")
    s.get(f"/flow_runs/{child['id']}")


@sequence
def update(s: Script) -> None:
    """Each field that may be changed."""
    run = flow_run(s)
    path = f"/flow_runs/{run['id']}"
    for body in (
        {"name": s.name("renamed")}, {"flow_version": "v2"}, {"parameters": {"a": [1]}}, {"tags": ["x", "y"]},
        {"empirical_policy": {"retries": 5, "retry_delay": 1, "pause_keys": ["k"], "resuming": True}},
        {"infrastructure_pid": "host:1"}, {}, {"tags": [], "name": s.name("again")},
    ):  # fmt: skip
        s.patch(path, body)
        s.get(path)
    s.patch(f"/flow_runs/{s.uuid()}", {"name": "x"})


@sequence
def update_job_variables(s: Script) -> None:
    """Only of scheduled runs of deployments."""
    parent = flow(s)
    s.patch(f"/flow_runs/{s.uuid()}", {"job_variables": {"a": 1}})
    bare = flow_run(s, parent)
    s.patch(f"/flow_runs/{bare['id']}", {"job_variables": {"a": 1}})
    scheduled = flow_run(s, parent, state={"type": "SCHEDULED"})
    s.patch(f"/flow_runs/{scheduled['id']}", {"job_variables": {"a": 1}})
    template = {
        "job_configuration": {"a": "{{ a }}"},
        "variables": {"type": "object", "properties": {"a": {"type": "integer"}}},
    }
    _, queue = work_pool(s, base_job_template=template)
    made = deployment(s, parent, work_queue_id=queue["id"])
    run = flow_run(s, parent, deployment_id=made["id"], state={"type": "SCHEDULED"})
    for variables in ({"a": 1}, {"a": "x"}, {"b": {}}, {}, None):
        s.patch(f"/flow_runs/{run['id']}", {"job_variables": variables})
        s.get(f"/flow_runs/{run['id']}")


@sequence
def delete(s: Script) -> None:
    """A deleted run takes its states, task runs, inputs along."""
    run = flow_run(s)
    task = task_run(s, run)
    s.post(f"/flow_runs/{run['id']}/input", {"key": "k", "value": "1"})
    s.delete(f"/flow_runs/{run['id']}")
    s.get(f"/flow_runs/{run['id']}")
    s.get(f"/task_runs/{task['id']}")
    s.get(f"/flow_run_states/?flow_run_id={run['id']}")
    s.get(f"/flow_runs/{run['id']}/input/k")
    s.delete(f"/flow_runs/{run['id']}")


@sequence
def labels(s: Script) -> None:
    """Labels are merged; those of the flow come with the run."""
    parent = flow(s, labels={"team": "a", "n": 1})
    run = flow_run(s, parent, labels={"mine": True})
    path = f"/flow_runs/{run['id']}"
    s.get(path)
    for body in ({"a": "b"}, {"mine": False, "n": 2.5}, {}, {"prefect.flow.id": "x"}):
        s.patch(f"{path}/labels", body)
        s.get(path)
    s.patch(f"/flow_runs/{s.uuid()}/labels", {"a": "b"})


@sequence(independent=True)
def bad_labels(s: Script) -> None:
    """Labels that are none."""
    run = flow_run(s)
    path = f"/flow_runs/{run['id']}/labels"
    bad_bodies(s, "PATCH", path, {"a": 1})
    bad_fields(s, "PATCH", path, {"a": "b"}, ("a",))


@sequence
def inputs(s: Script) -> None:
    """Input is text under a key, once."""
    run = flow_run(s)
    path = f"/flow_runs/{run['id']}/input"
    s.post(path, {"key": "a-1", "value": '{"x": 1}', "sender": "prefect.flow-run.x"})
    s.post(path, {"key": "a-2", "value": "text"})
    s.post(path, {"key": "b-1", "value": "größe"})
    s.post(path, {"key": "a-1", "value": "again"})
    s.get(f"{path}/a-1")
    s.get(f"{path}/b-1")
    s.get(f"{path}/none")
    for body in (
        {"prefix": "a"}, {"prefix": ""}, {"prefix": "a", "limit": 1}, {"prefix": "a", "exclude_keys": ["a-1"]},
        {"prefix": "A"}, {"prefix": "%"}, {"prefix": "a_"}, {"prefix": "z"}, {"prefix": "a", "exclude_keys": []},
    ):  # fmt: skip
        s.post(f"{path}/filter", body)
    s.delete(f"{path}/a-1")
    s.delete(f"{path}/a-1")
    s.get(f"{path}/a-1")
    s.post(f"{path}/filter", {"prefix": "a"})


@sequence(independent=True)
def bad_inputs(s: Script) -> None:
    """Keys that are not allowed, runs that do not exist, bodies that are none."""
    run = flow_run(s)
    path = f"/flow_runs/{run['id']}/input"
    bad_bodies(s, "POST", path, {"key": "k", "value": "v"})
    bad_fields(s, "POST", path, {"key": s.name("k"), "value": "v", "sender": "s"}, ("key", "value", "sender"))
    bad_bodies(s, "POST", f"{path}/filter", {"prefix": "k"})
    bad_fields(s, "POST", f"{path}/filter", {"prefix": "nope"}, ("prefix", "limit", "exclude_keys"))
    for limit in (0, 1, 200, 201, 10**6, -1):
        s.post(f"{path}/filter", {"prefix": "nope", "limit": limit})
    for key in ("a b", "a/b", "ü", ".", "..", "a.b", "a:b", "A_b-9", "\n"):
        s.post(path, {"key": key, "value": "v"})
    s.post(f"/flow_runs/{s.uuid()}/input", {"key": "k", "value": "v"})
    s.post(f"/flow_runs/{s.uuid()}/input/filter", {"prefix": ""})
    s.get(f"/flow_runs/{s.uuid()}/input/k")
    s.delete(f"/flow_runs/{s.uuid()}/input/k")
    for bad in ("%20", "a%2Fb", "x" * 300, "%F0%9F%92%A5", "%00"):
        s.get(f"{path}/{bad}")


@sequence(independent=True)
def bad_creates(s: Script) -> None:
    """Bodies and fields that are no flow run."""
    parent = flow(s)
    good = {"flow_id": parent["id"]}
    bad_bodies(s, "POST", "/flow_runs/", good)
    bad_content_types(s, "POST", "/flow_runs/", f'{{"flow_id": "{s.uuid("nothing")}"}}')
    fields = (
        "flow_id", "name", "state", "flow_version", "parameters", "context", "parent_task_run_id", "tags", "labels",
        "infrastructure_document_id", "empirical_policy", "idempotency_key", "work_pool_name", "work_queue_name",
        "job_variables", "deployment_id", "id", "created_by", "auto_scheduled", "state_type",
    )  # fmt: skip
    bad_fields(s, "POST", "/flow_runs/", good, fields)
    for field in ("retries", "retry_delay", "max_retries", "retry_delay_seconds", "pause_keys", "resuming",
                  "retry_type", "unknown"):  # fmt: skip
        for value in (None, 0, -1, 1.5, "1", "x", True, [], ["a", "a"], {}, [1]):
            s.post("/flow_runs/", {**good, "empirical_policy": {field: value}})
    s.post("/flow_runs/", {**good, "parameters": {"big": "x" * 600_000}}, ignore=("body",))


@sequence(independent=True)
def bad_states_on_create(s: Script) -> None:
    """First states that are none."""
    parent = flow(s)
    good = {"flow_id": parent["id"], "state": {"type": "PENDING"}}
    for field in ("type", "name", "message", "data", "state_details", "id", "timestamp"):
        for value in (None, "", "x", 1, 1.5, True, [], {}, "pending", "RUNNING", s.now()):
            s.post("/flow_runs/", {**good, "state": {"type": "PENDING", field: value}})
    s.post("/flow_runs/", {**good, "state": {"name": "x"}})
    s.post("/flow_runs/", {**good, "state": {}})


@sequence(independent=True)
def bad_updates(s: Script) -> None:
    """Bodies and fields that change no flow run."""
    run = flow_run(s)
    path = f"/flow_runs/{run['id']}"
    bad_bodies(s, "PATCH", path, {})
    fields = ("name", "flow_version", "parameters", "empirical_policy", "tags", "infrastructure_pid", "job_variables")
    bad_fields(s, "PATCH", path, {"flow_version": "v"}, fields)
    s.get(path)


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    for method, template, body in (
        ("GET", "/flow_runs/{id}", None),
        ("PATCH", "/flow_runs/{id}", {"name": "x"}),
        ("DELETE", "/flow_runs/{id}", None),
        ("POST", "/flow_runs/{id}/set_state", {"state": {"type": "PENDING"}}),
        ("POST", "/flow_runs/{id}/resume", {}),
        ("POST", "/flow_runs/{id}/input", {"key": "k", "value": "v"}),
        ("POST", "/flow_runs/{id}/input/filter", {"prefix": ""}),
        ("GET", "/flow_runs/{id}/input/k", None),
        ("PATCH", "/flow_runs/{id}/labels", {"a": "b"}),
    ):
        bad_ids(s, method, template, *(() if body is None else (body,)))
    nothing = "/flow_runs/00000000-0000-4000-8000-000000000000"
    for path, allowed in (
        ("/flow_runs/", ("POST",)),
        ("/flow_runs/filter", ("POST",)),
        ("/flow_runs/count", ("POST",)),
        ("/flow_runs/paginate", ("POST",)),
        ("/flow_runs/history", ("POST",)),
        ("/flow_runs/lateness", ("POST",)),
        (nothing, ("GET", "PATCH", "DELETE")),
        (f"{nothing}/set_state", ("POST",)),
        (f"{nothing}/resume", ("POST",)),
        (f"{nothing}/labels", ("PATCH",)),
        (f"{nothing}/input", ("POST",)),
        (f"{nothing}/input/filter", ("POST", "GET", "DELETE")),
        (f"{nothing}/input/k", ("GET", "DELETE")),
    ):
        wrong_methods(s, path, allowed)
    for bad in BAD_IDS:
        s.get(f"/flow_run_states/?flow_run_id={bad}")
