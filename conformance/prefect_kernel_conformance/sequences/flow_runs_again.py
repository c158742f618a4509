"""Flow runs that are made twice, or told in the words of old clients and old rows."""

from __future__ import annotations

from ..script import Script, sequence
from ._make import flow, flow_run, history, set_state, state, task_run

GROUP = "flow_runs"
LONG_AGO = "2021-03-04T05:06:07.000008Z"


@sequence
def times_of_clients(s: Script) -> None:
    """A state's time is the server's, whatever the client says."""
    parent = flow(s)
    for time in (LONG_AGO, "2099-01-01T00:00:00Z", 0, "2021-01-01"):
        first = {"type": "RUNNING", "timestamp": time, "id": s.uuid()}
        run = s.post("/flow_runs/", {"flow_id": parent["id"], "state": first})
        set_state(s, run, "COMPLETED", timestamp=time, id=s.uuid())
        set_state(s, run, "RUNNING", timestamp=time, force=True)
        history(s, run)


@sequence
def idempotency_keys(s: Script) -> None:
    """A key finds the run of the same flow, whatever else is asked for; an empty one finds nothing, and is unique."""
    one, other = flow(s), flow(s)
    key = {"idempotency_key": s.name("key")}
    run = s.post("/flow_runs/", {**key, "flow_id": one["id"]})
    for more in (
        {}, {"parent_task_run_id": s.uuid()}, {"deployment_id": s.uuid()}, {"name": "other", "tags": ["x"]},
        {"work_pool_name": s.name("none")}, {"state": state("RUNNING")},
    ):  # fmt: skip
        s.post("/flow_runs/", {**key, "flow_id": one["id"], **more})
    s.post("/flow_runs/", {**key, "flow_id": other["id"]})
    s.post("/flow_runs/", {**key, "flow_id": s.uuid()})
    for other_key in (None, "", " ", "x" * 1000, "ü"):
        for _ in range(2):
            s.post("/flow_runs/", {"flow_id": one["id"], "idempotency_key": other_key})
    mine = {"flows": {"id": {"any_": [one["id"], other["id"]]}}}
    for operators in (
        {"any_": [s.name("key")]}, {"not_any_": [s.name("key")]}, {"any_": [""]}, {"not_any_": ["x" * 1000]},
        {"any_": [s.name("key")], "not_any_": [s.name("key")]},
    ):  # fmt: skip
        s.post("/flow_runs/count", {**mine, "flow_runs": {"idempotency_key": operators}})
    s.delete(f"/flow_runs/{run['id']}")
    history(s, s.post("/flow_runs/", {**key, "flow_id": one["id"]}))


@sequence
def policies_of_old_clients(s: Script) -> None:
    """Retries and delays under the names that they once had, in both ways to say it."""
    for policy in (
        {"max_retries": 1}, {"max_retries": 2, "retries": 1}, {"retry_delay_seconds": 5}, {"max_retries": None},
        {"max_retries": 0, "retries": None}, {"retries": 2, "retry_delay": None}, {"pause_keys": ["b", "a"]}, {},
    ):  # fmt: skip
        run = flow_run(s, empirical_policy=policy)
        s.patch(f"/flow_runs/{run['id']}", {"empirical_policy": policy})
        s.get(f"/flow_runs/{run['id']}")
        task_run(s, dynamic_key=f"{policy}", empirical_policy=policy)


@sequence
def policies_of_old_rows(s: Script) -> None:
    """A row of an old server holds what its clients said, and the rules still find the retries in it."""
    for policy in (
        {"max_retries": 1, "retry_delay_seconds": 5}, {"retries": 1, "max_retries": 0, "pause_keys": []}, {},
        {"retries": 1},
    ):  # fmt: skip
        run = flow_run(s)
        s.update("flow_run", {"id": run["id"]}, empirical_policy=policy)
        set_state(s, run, "RUNNING")
        set_state(s, run, "FAILED")
        history(s, run)


@sequence
def null_columns(s: Script) -> None:
    """Columns that old servers left empty."""
    run, task = flow_run(s), task_run(s)
    for column in ("labels", "job_variables", "idempotency_key", "created_by", "infrastructure_pid", "flow_version"):
        s.update("flow_run", {"id": run["id"]}, **{column: None})
        s.get(f"/flow_runs/{run['id']}")
    for column in ("labels", "task_version", "cache_key"):
        s.update("task_run", {"id": task["id"]}, **{column: None})
        s.get(f"/task_runs/{task['id']}")
