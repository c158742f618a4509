"""How long runs took, and how late they were: what servers count, and what they estimate."""

from __future__ import annotations

from ..script import Script, sequence
from ._make import flow, flow_run, set_state, set_task_state, state, task_run
from .flow_policies import TYPES

GROUP = "flow_policies"
WALKS = (
    ("RUNNING", "RUNNING"), ("PENDING", "RUNNING", "PAUSED", "RUNNING", "COMPLETED"),
    ("RUNNING", "SCHEDULED", "RUNNING"), ("RUNNING", "COMPLETED", "SCHEDULED", "PENDING"),
    ("CANCELLED", "SCHEDULED", "RUNNING"), ("CRASHED", "PENDING", "RUNNING", "CRASHED"),
    ("RUNNING", "CANCELLING", "CANCELLED"),
)  # fmt: skip


@sequence
def counts_and_times(s: Script) -> None:
    """Runs, and the times of start, end and schedule, on the way through states, proposed and forced."""
    for walk in WALKS:
        for force in (True, False):
            run, task = flow_run(s), task_run(s, dynamic_key=f"{walk}{force}")
            for type_ in walk:
                set_state(s, run, type_, force=force)
                s.get(f"/flow_runs/{run['id']}")
                set_task_state(s, task, type_, force=force)
                s.get(f"/task_runs/{task['id']}")


@sequence
def states_of_long_ago(s: Script) -> None:
    """What was RUNNING since long ago has run for that long when it leaves the state."""
    ago = {"state_timestamp": s.now(-1000), "start_time": s.now(-1500), "total_run_time": 100.0}
    for last in ("COMPLETED", "RUNNING", "PAUSED", "FAILED", "SCHEDULED", "PENDING"):
        for kind, make, propose in (("flow", flow_run, set_state), ("task", task_run, set_task_state)):
            run = make(s, state=state("RUNNING"), **({"dynamic_key": last} if kind == "task" else {}))
            s.update(f"{kind}_run_state", {f"{kind}_run_id": run["id"]}, timestamp=s.now(-1000))
            s.update(f"{kind}_run", {"id": run["id"]}, **ago)
            s.get(f"/{kind}_runs/{run['id']}")
            propose(s, run, last, force=True)
            s.get(f"/{kind}_runs/{run['id']}")


@sequence
def estimates(s: Script) -> None:
    """Estimated run times and delays, of rows whose times say anything."""
    parent = flow(s)
    for type_ in TYPES:
        for start, end, total, since in (
            (-100, None, 0, -100), (-100, -40, 60, -40), (-100, None, 5, -50), (None, None, 7, -10), (50, None, 0, 50),
        ):  # fmt: skip
            times = {
                "start_time": None if start is None else s.now(start),
                "end_time": None if end is None else s.now(end),
                "total_run_time": float(total),
                "expected_start_time": s.now(-300),
                "state_timestamp": s.now(since),
            }
            run, task = flow_run(s, parent, state=state(type_)), task_run(s, state=state(type_))
            s.update("flow_run", {"id": run["id"]}, **times)
            s.get(f"/flow_runs/{run['id']}")
            s.update("task_run", {"id": task["id"]}, **times)
            s.get(f"/task_runs/{task['id']}")
    mine = {"flows": {"id": {"any_": [parent["id"]]}}}
    for type_ in TYPES:
        body = {**mine, "flow_runs": {"state": {"type": {"any_": [type_]}}}}
        s.post("/flow_runs/lateness", body, tolerance=10)


@sequence
def run_counts_of_flows(s: Script) -> None:
    """A task run notes in which run of its flow it began."""
    run = flow_run(s, empirical_policy={"retries": 3, "retry_delay": 0})
    for number in range(3):
        set_state(s, run, "RUNNING")
        task = task_run(s, run, dynamic_key=f"{number}", state=state("PENDING"))
        for type_ in ("RUNNING", "FAILED", "RUNNING"):
            set_task_state(s, task, type_)
        s.rows("task_run", columns=["flow_run_run_count", "run_count"], id=task["id"])
        set_state(s, run, "FAILED")
