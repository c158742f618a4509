"""Many flow runs at once: states proposed to them, and runs deleted."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import bad_bodies, bad_content_types, bad_fields, wrong_methods
from ._make import flow, flow_run, limited_deployment, set_state, slots, state, task_run

GROUP = "flow_runs"
SET, DELETE = "/flow_runs/bulk_set_state", "/flow_runs/bulk_delete"
# Runs come by their ids, which are chance.
ANY_ORDER = ("body.results",)


@sequence
def states_for_many(s: Script) -> None:
    """Each run is judged by itself: some accept what others refuse."""
    of = flow(s)
    runs = [
        flow_run(s, of, state=state(type_, state_details={"scheduled_time": s.now(60)} if type_ == "SCHEDULED" else {}))
        for type_ in ("PENDING", "RUNNING", "SCHEDULED", "COMPLETED", "CANCELLING", "PAUSED")
    ]
    mine = {"flow_runs": {"id": {"any_": [run["id"] for run in runs]}}}
    for type_, force in (("RUNNING", None), ("CANCELLED", False), ("SCHEDULED", True), ("PENDING", None)):
        details = {"scheduled_time": s.now(60)} if type_ == "SCHEDULED" else {}
        body = {**mine, "state": state(type_, message="many", state_details=details)}
        s.post(SET, {**body, **({} if force is None else {"force": force})}, unordered=ANY_ORDER)
        for run in runs:
            s.get(f"/flow_runs/{run['id']}")


@sequence
def one_at_a_time(s: Script) -> None:
    """With one run in each request, everything that is answered can be told apart."""
    of = flow(s)
    run = flow_run(s, of, state=state("SCHEDULED"), empirical_policy={"retries": 1, "retry_delay": 5})
    mine = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    for type_ in ("PENDING", "RUNNING", "FAILED", "RUNNING", "COMPLETED", "RUNNING", "PAUSED", "CANCELLING"):
        s.post(SET, {**mine, "state": {"type": type_, "name": "Mine", "state_details": {"pause_key": "k"}}})
        s.get(f"/flow_run_states/?flow_run_id={run['id']}")
    s.post(SET, {"flow_runs": {"id": {"any_": [s.uuid("nobody")]}}, "state": state("RUNNING")})
    s.post(SET, {"flow_runs": {"id": {"any_": []}}, "state": state("RUNNING")})


@sequence
def within_a_limit(s: Script) -> None:
    """The runs of a deployment share its slots, also when they are moved together."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 1)
    runs = [flow_run(s, parent, deployment_id=made["id"], state=state("SCHEDULED")) for _ in range(2)]
    for run in runs:
        mine = {"flow_runs": {"id": {"any_": [run["id"]]}}}
        s.post(SET, {**mine, "state": state("PENDING")}, headers={"User-Agent": "prefect/3.8.8 (API 0.8.4)"})
        slots(s, of)
    s.post(DELETE, {"flow_runs": {"id": {"any_": [runs[0]["id"]]}}})
    slots(s, of)


@sequence
def delete_many(s: Script) -> None:
    """Runs that match go with their states, task runs and logs; fifty at most."""
    of = flow(s)
    runs = [flow_run(s, of, tags=[letter], state=state("RUNNING")) for letter in "abc"]
    task = task_run(s, runs[0])
    set_state(s, runs[1], "COMPLETED")
    log = {"name": "n", "level": 20, "message": "m", "timestamp": s.now(), "flow_run_id": runs[0]["id"]}
    s.post("/logs/", [log])
    mine = {"flow_runs": {"id": {"any_": [run["id"] for run in runs]}}}
    s.post(DELETE, {"flow_runs": {**mine["flow_runs"], "tags": {"all_": ["a"]}}})
    s.get(f"/task_runs/{task['id']}")
    s.get(f"/flow_runs/{runs[0]['id']}")
    s.post("/flow_runs/count", mine)
    s.post(DELETE, {**mine, "limit": 50}, unordered=("body.deleted",))
    s.post(DELETE, mine)
    s.post("/flow_runs/count", mine)
    s.get(f"/flows/{of['id']}")


@sequence(independent=True)
def bad_bulk(s: Script) -> None:
    """Bodies and fields that are none."""
    nobody = {"flow_runs": {"id": {"any_": [s.uuid("nobody")]}}}
    good = {**nobody, "state": {"type": "RUNNING"}}
    bad_fields(s, "POST", SET, good, ("state", "force", "limit"))
    for filter_ in ([], "x", 1, {"unknown": 1}, {"id": {"any": []}}, {"id": {"any_": ["x"]}}):
        s.post(SET, {**good, "flow_runs": filter_})
        s.post(DELETE, {"flow_runs": filter_})
    for limit in (0, 1, 50, 51, -1, "5", "x", None, 1.0, 1.5, True, [], 2**70):
        s.post(SET, {**good, "limit": limit})
        s.post(DELETE, {**nobody, "limit": limit})
    for type_ in ("x", None, "running", 1):
        s.post(SET, {**nobody, "state": {"type": type_}})
    for body in (None, True, 1, "text", [], [good], [[]]):
        s.post(SET, body)
    bad_bodies(s, "POST", SET, {**nobody, "limit": 0})
    bad_content_types(s, "POST", SET, f'{{"flow_runs": {{"id": {{"any_": ["{s.uuid("nobody")}"]}}}}}}')
    for path in (SET, DELETE):
        wrong_methods(s, path, ("POST", "GET", "PATCH", "DELETE"))
