"""Subflows: the task run of the parent that stands for one goes along with it."""

from __future__ import annotations

from ..script import Script, sequence
from ._make import flow_run, history, set_state, state, task_history, task_run
from .flow_policies import TYPES

GROUP = "flow_runs"


@sequence
def subflows_in_all_states(s: Script) -> None:
    """Each state of the subflow, proposed and forced, with its name, message and details, and without its result."""
    parent = flow_run(s)
    set_state(s, parent, "RUNNING")
    details = {"pause_timeout": s.now(300), "pause_key": "k", "scheduled_time": s.now(100), "cache_key": "c"}
    for type_ in TYPES:
        for force in (False, True):
            task = task_run(s, parent, dynamic_key=f"{type_}{force}", state=state("PENDING"))
            child = flow_run(s, parent_task_run_id=task["id"], state=state("RUNNING"))
            set_state(
                s, child, type_, "Mine", force=force, message="m", data={"type": "reference"}, state_details=details
            )
            task_history(s, task)
            history(s, child)
    of_parent = {"flow_runs": {"parent_flow_run_id": {"any_": [parent["id"]]}}}
    s.post("/flow_runs/count", of_parent)
    for exists in (True, False):
        tasks = {"subflow_runs": {"exists_": exists}, "flow_run_id": {"any_": [parent["id"]]}}
        s.post("/task_runs/count", {"task_runs": tasks})


@sequence
def subflows_made_in_states(s: Script) -> None:
    """The first state counts, too; a task run may stand for several subflows, and be deleted before them."""
    parent = flow_run(s)
    set_state(s, parent, "RUNNING")
    for type_ in TYPES:
        for first in ({}, {"state": state("PENDING")}):
            task = task_run(s, parent, dynamic_key=f"{type_}{first}", **first)
            flow_run(s, parent_task_run_id=task["id"], state=state(type_, "Mine", message="m"))
            task_history(s, task)
    child = flow_run(s, parent_task_run_id=task["id"], state=state("RUNNING"))
    task_history(s, task)
    s.delete(f"/task_runs/{task['id']}")
    set_state(s, child, "COMPLETED")
    history(s, child)


@sequence
def subflows_tried_again(s: Script) -> None:
    """Retries of the subflow and of its parent, and transitions of the subflow that are refused."""
    again = {"retries": 1, "retry_delay": 0}
    parent = flow_run(s, empirical_policy=again)
    set_state(s, parent, "RUNNING")
    task = task_run(s, parent, state=state("PENDING"))
    child = flow_run(s, parent_task_run_id=task["id"], empirical_policy=again)
    for type_ in ("RUNNING", "FAILED", "RUNNING", "FAILED"):
        set_state(s, child, type_)
        task_history(s, task)
    set_state(s, parent, "FAILED")
    set_state(s, parent, "RUNNING")
    set_state(s, child, "PENDING", force=True)
    set_state(s, child, "RUNNING")
    task_history(s, task)
    later = task_run(s, parent, dynamic_key="later", state=state("PENDING"))
    waiting = flow_run(
        s, parent_task_run_id=later["id"], state=state("SCHEDULED", state_details={"scheduled_time": s.now(500)})
    )
    for type_ in ("RUNNING", "PENDING", "CANCELLING", "COMPLETED"):
        set_state(s, waiting, type_)
        task_history(s, later)
