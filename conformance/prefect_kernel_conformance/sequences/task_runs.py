"""Task runs: create, read, change, delete, filter, count, paginate, history."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import (
    OTHERS_ROWS,
    WRONG,
    bad_bodies,
    bad_content_types,
    bad_fields,
    bad_ids,
    filter_bodies,
    paging,
    wrong_methods,
)
from ._make import flow, flow_run, set_task_state, state, task_history, task_run
from .flow_run_queries import IDS, TAGS, TEXTS, TIMES

SOME_ID = "6a7b1c4e-0000-4000-8000-0000000000ab"
OBJECTS = ("flows", "flow_runs", "task_runs", "deployments")
TASK_RUN_FILTER = {
    "id": {"any_": IDS},
    "name": {"any_": TEXTS, "like_": ("a", "%")},
    "tags": TAGS,
    "state": {
        "type": ({"any_": ["PENDING"]}, {"any_": ["pending"]}, {"any_": "PENDING"}, {"not_any_": ["PENDING"]}),
        "name": ({"any_": ["Pending"]}, {"not_any_": ["Pending"]}),
        "operator": ("and_", "or_"),
    },
    "start_time": {**TIMES, "is_null_": (True, False)},
    "end_time": {**TIMES, "is_null_": (True, False)},
    "expected_start_time": TIMES,
    "subflow_runs": {"exists_": (True, False)},
    "flow_run_id": {"any_": IDS, "is_null_": (True, False)},
    "operator": {},
    "unknown": {},
}
FULL = {
    "name": "mine", "cache_key": "ck", "cache_expiration": "2030-01-01T00:00:00Z", "task_version": "1",
    "empirical_policy": {"max_retries": 3, "retry_delay_seconds": 1.5, "retries": 3, "retry_delay": [1, 2],
                         "retry_jitter_factor": 0.5},
    "tags": ["b", "a"], "labels": {"x": 1, "prefect.y": "z"},
    "task_inputs": {
        "a": [{"input_type": "constant", "type": "int"}],
        "b": [{"input_type": "parameter", "name": "p"}, {"input_type": "task_run", "id": SOME_ID}],
        "c": [{"input_type": "flow_run", "id": SOME_ID}],
    },
}  # fmt: skip


@sequence
def create_with_least(s: Script) -> None:
    """The two keys are all that is needed."""
    task_history(s, s.post("/task_runs/", {"task_key": s.name("task"), "dynamic_key": "0"}))


@sequence
def create_with_all(s: Script) -> None:
    """All that a client can send; a second time it is found."""
    run = flow_run(s)
    body = {**FULL, "flow_run_id": run["id"], "task_key": s.name("task"), "dynamic_key": "0"}
    task = s.post("/task_runs/", {**body, "id": s.uuid("mine"), "state": state("PENDING")})
    task_history(s, task)
    s.post("/task_runs/", {**body, "id": s.uuid("mine"), "state": state("RUNNING")})
    s.post("/task_runs/", {**body, "id": s.uuid("other"), "name": "other"})
    s.post("/task_runs/", {**body, "id": s.uuid("mine"), "dynamic_key": "1"})
    task_history(s, task)


@sequence
def create_twice_without_flow_run(s: Script) -> None:
    """Without a flow run the keys identify nothing."""
    body = {"task_key": s.name("task"), "dynamic_key": "0"}
    first = s.post("/task_runs/", body)
    s.post("/task_runs/", body)
    s.post("/task_runs/", {**body, "id": first["id"]})


@sequence
def create_in_each_state(s: Script) -> None:
    """The first state may be any."""
    for type_ in (
        "SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING",
    ):  # fmt: skip
        task_history(s, task_run(s, dynamic_key=type_, state=state(type_)))
    run = flow_run(s)
    data = {"type": "reference", "k": 1}
    for given in (data, {"type": "unpersisted"}, 5, "x", None):
        task_history(s, task_run(s, run, dynamic_key=f"data {given}", state=state("COMPLETED", data=given)))


@sequence
def create_deferred(s: Script) -> None:
    """A background task is created scheduled and deferred."""
    details = {"deferred": True, "task_parameters_id": s.uuid("parameters")}
    task_history(s, task_run(s, state=state("SCHEDULED", state_details=details)))


@sequence
def create_for_nothing(s: Script) -> None:
    """A flow run that does not exist."""
    s.post("/task_runs/", {"flow_run_id": s.uuid(), "task_key": s.name("task"), "dynamic_key": "0"})


@sequence
def labels(s: Script) -> None:
    """Labels of the flow and of its run come along."""
    run = flow_run(s, flow(s, labels={"team": "a", "x": "flow"}), labels={"mine": 1})
    task_history(s, task_run(s, run, labels={"x": "task"}))


@sequence
def update_and_delete(s: Script) -> None:
    """The name can be changed."""
    task = task_run(s)
    path = f"/task_runs/{task['id']}"
    for body in ({"name": "new"}, {}, {"name": ""}, {"name": None}, {"tags": ["x"]}):
        s.patch(path, body)
        s.get(path)
    s.patch(f"/task_runs/{s.uuid()}", {"name": "x"})
    s.delete(path)
    s.get(path)
    s.delete(path)
    s.get(f"/task_run_states/?task_run_id={task['id']}")


@sequence(independent=True)
def bad_creates(s: Script) -> None:
    """Bodies and fields that are no task run."""
    good = {"task_key": s.name("task"), "dynamic_key": "0"}
    bad_bodies(s, "POST", "/task_runs/", good)
    bad_content_types(s, "POST", "/task_runs/", f'{{"task_key": "{s.name("typed")}", "dynamic_key": "0"}}')
    fields = (
        "task_key", "dynamic_key", "id", "name", "state", "flow_run_id", "cache_key", "cache_expiration",
        "task_version", "empirical_policy", "tags", "labels", "task_inputs", "run_count", "state_type",
    )  # fmt: skip
    bad_fields(s, "POST", "/task_runs/", good, fields)
    for field in ("retries", "retry_delay", "max_retries", "retry_delay_seconds", "retry_jitter_factor", "unknown"):
        for value in (None, 0, -1, 1.5, "1", "x", True, [], [1, 2], [1.5], [-1], list(range(60)), {}, [None]):
            s.post("/task_runs/", {**good, "empirical_policy": {field: value}})
    for inputs in (
        {"a": []}, {"a": [{}]}, {"a": [{"input_type": "x"}]}, {"a": [{"input_type": "task_run"}]}, {"a": "x"},
        {"a": [{"input_type": "task_run", "id": "x"}]}, {"a": [{"input_type": "parameter"}]}, {"a": [None]}, [],
        {"a": [{"input_type": "constant"}]}, {"a": [{"input_type": "constant", "type": "x", "more": 1}]}, {"": []},
        {"a": [{"input_type": "flow_run", "id": SOME_ID, "x": 1}]},
        {"a": [{"id": SOME_ID}]}, {"a": [{"name": "p"}]}, {"a": [{"type": "int"}]},
    ):  # fmt: skip
        s.post("/task_runs/", {**good, "task_inputs": inputs})
    s.post("/task_runs/", {**good, "cache_key": "x" * 2001})
    s.post("/task_runs/", {**good, "cache_key": "x" * 2000})


@sequence(independent=True)
def bad_updates(s: Script) -> None:
    """Bodies and fields that change no task run."""
    task = task_run(s)
    bad_bodies(s, "PATCH", f"/task_runs/{task['id']}", {})
    bad_fields(s, "PATCH", f"/task_runs/{task['id']}", {"name": "v"}, ("name",))


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    bad_ids(s, "GET", "/task_runs/{id}")
    bad_ids(s, "PATCH", "/task_runs/{id}", {"name": "x"})
    bad_ids(s, "DELETE", "/task_runs/{id}")
    bad_ids(s, "POST", "/task_runs/{id}/set_state", {"state": {"type": "PENDING"}})
    nothing = "/task_runs/00000000-0000-4000-8000-000000000000"
    for path, allowed in (
        ("/task_runs/", ("POST",)), ("/task_runs/filter", ("POST",)), ("/task_runs/count", ("POST",)),
        ("/task_runs/paginate", ("POST",)), ("/task_runs/history", ("POST",)),
        (nothing, ("GET", "PATCH", "DELETE")), (f"{nothing}/set_state", ("POST",)),
        ("/task_runs/subscriptions/scheduled", ()),
    ):  # fmt: skip
        wrong_methods(s, path, allowed)


@sequence(independent=True)
def filter_fields(s: Script) -> None:
    """Each operator of each field with good and with wrong values."""
    name = {"name": {"any_": [s.name("nobody")]}}
    for body in filter_bodies(TASK_RUN_FILTER):
        extra = {"id": {"any_": [s.uuid("nobody")]}} if "name" in body else name
        s.post("/task_runs/filter", {"task_runs": {**extra, **body}})


@sequence(independent=True)
def bodies_of_queries(s: Script) -> None:
    """Bodies that are no query."""
    mine = {"task_runs": {"name": {"any_": [s.name("nobody")]}}, "limit": 0}
    for path in ("/task_runs/filter", "/task_runs/count", "/task_runs/paginate"):
        bad_fields(s, "POST", path, mine, OBJECTS, ignore=OTHERS_ROWS)
        for body in ([], "x", 1, True, {"task_runs": {"unknown": 1}}):
            s.post(path, body)
        bad_content_types(
            s, "POST", path, '{"task_runs": {"name": {"any_": ["nobody"]}}, "limit": 0}', ignore=OTHERS_ROWS
        )


@sequence(independent=True)
def paging_and_sorting(s: Script) -> None:
    """Limits, offsets, pages and sorts over a few task runs of its own."""
    run = flow_run(s)
    for number, letter in enumerate("cabd"):
        scheduled = state("SCHEDULED", state_details={"scheduled_time": s.now(600 + number)})
        task_run(s, run, name=s.name(f"page-{letter}"), dynamic_key=letter, state=scheduled)
    mine = {"task_runs": {"name": {"like_": s.name("")}}, "sort": "NAME_ASC"}
    paging(s, "/task_runs/filter", mine)
    paging(s, "/task_runs/paginate", mine, page=True)
    for sort in (
        "NAME_ASC", "NAME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC",
        "NEXT_SCHEDULED_START_TIME_ASC", "START_TIME_ASC", "CREATED_DESC", "", 1, [], {},
    ):  # fmt: skip
        s.post("/task_runs/filter", {**mine, "sort": sort})
        s.post("/task_runs/paginate", {**mine, "sort": sort})
    for sort in (None, "ID_DESC", "END_TIME_DESC"):
        s.post("/task_runs/filter", {**mine, "sort": sort}, unordered=("body",))
        s.post("/task_runs/paginate", {**mine, "sort": sort}, unordered=("body.results",))
    s.post("/task_runs/count", mine)


@sequence(independent=True)
def histories(s: Script) -> None:
    """History counts task runs by state in intervals."""
    run = flow_run(s, state=state("RUNNING"))
    tasks = [task_run(s, run, dynamic_key=f"{number}", state=state("PENDING")) for number in range(3)]
    set_task_state(s, tasks[0], "RUNNING")
    set_task_state(s, tasks[0], "COMPLETED")
    mine = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    good = {**mine, "history_start": "2026-01-01T00:00:00Z", "history_end": "2026-01-02T00:00:00Z"}
    for interval in (1, 173, 3600, 86400, 0.5, 0, -1, "3600", None, "x"):
        s.post("/task_runs/history", {**good, "history_interval_seconds": interval})
    around = {**mine, "history_start": s.now(-3600), "history_end": s.now(3600), "history_interval_seconds": 7200}
    s.post("/task_runs/history", around, unordered=("body[0].states",))
    s.post("/task_runs/history", {})
    for field in ("history_start", "history_end", *OBJECTS):
        for value in WRONG:
            s.post("/task_runs/history", {**good, "history_interval_seconds": 86400, field: value})
