"""What the UI asks of flows, flow runs and task runs."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import NO_ID, bad_bodies, bad_content_types, bad_fields, bad_ids, wrong_methods
from ._make import deployment, flow, flow_run, set_state, set_task_state, state, task_run


@sequence
def history_of_flow_runs(s: Script) -> None:
    """Single runs with duration and lateness."""
    parent = flow(s)
    run = flow_run(s, parent)
    set_state(s, run, "RUNNING", force=True)
    set_state(s, run, "COMPLETED", force=True)
    scheduled = state("SCHEDULED", state_details={"scheduled_time": s.now(3600)})
    flow_run(s, parent, state=scheduled)
    late = state("SCHEDULED", state_details={"scheduled_time": s.now(-3600)})
    flow_run(s, parent, state=late)
    mine = {"flows": {"id": {"any_": [parent["id"]]}}}
    for sort in ("EXPECTED_START_TIME_DESC", "EXPECTED_START_TIME_ASC", "NAME_ASC", "START_TIME_DESC", "x"):
        s.post("/ui/flow_runs/history", {**mine, "sort": sort}, tolerance=30, unordered=("body",))
    for more in ({"limit": 1}, {"limit": 0}, {"limit": 1001}, {"limit": 1000, "offset": 1}, {"offset": -1}):
        s.post("/ui/flow_runs/history", {**mine, **more}, tolerance=30)
    for wrong in ({"limit": None}, {"limit": "x"}, {"flow_runs": {"x": 1}}, [], "x", {"work_pools": {}}):
        s.post("/ui/flow_runs/history", {**mine, **wrong} if isinstance(wrong, dict) else wrong, tolerance=30)


@sequence
def numbers_of_task_runs(s: Script) -> None:
    """Task runs of flow runs, those of subflows left out."""
    run, other = flow_run(s), flow_run(s)
    tasks = [task_run(s, run, task_key=str(number)) for number in range(3)]
    s.post("/flow_runs/", {"flow_id": flow(s)["id"], "parent_task_run_id": tasks[0]["id"]})
    for ids in ([run["id"], other["id"], NO_ID], [], [run["id"], run["id"]], [NO_ID] * 201):
        s.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": ids})
    body = {"flow_run_ids": [NO_ID]}
    bad_bodies(s, "POST", "/ui/flow_runs/count-task-runs", body)
    bad_fields(s, "POST", "/ui/flow_runs/count-task-runs", body, ("flow_run_ids",))


@sequence
def deployments_and_next_runs(s: Script) -> None:
    """Of flows."""
    one, other = flow(s), flow(s)
    deployment(s, one)
    deployment(s, one)
    for after in (7200, 3600, 5400):
        details = {"scheduled_time": s.now(after)}
        flow_run(s, one, state=state("SCHEDULED", state_details=details), name=s.name(f"run {after}"))
    flow_run(s, other, state=state("PENDING"))
    for path in ("count-deployments", "next-runs"):
        for ids in ([one["id"], other["id"], NO_ID], [], [one["id"], one["id"]]):
            s.post(f"/ui/flows/{path}", {"flow_ids": ids})
        body = {"flow_ids": [NO_ID]}
        bad_bodies(s, "POST", f"/ui/flows/{path}", body)
        bad_fields(s, "POST", f"/ui/flows/{path}", body, ("flow_ids",))
        bad_content_types(s, "POST", f"/ui/flows/{path}", '{"flow_ids": []}')
        wrong_methods(s, f"/ui/flows/{path}", ("POST",))


@sequence
def task_runs(s: Script) -> None:
    """Single task runs, counts by state, and counts over time."""
    run = flow_run(s)
    types = ("COMPLETED", "FAILED", "CRASHED", "RUNNING", "CANCELLED")
    for type_ in types:
        task = task_run(s, run, task_key=type_)
        if type_ != "RUNNING":
            set_task_state(s, task, "RUNNING", force=True)
        set_task_state(s, task, type_, force=True)
        s.get(f"/ui/task_runs/{task['id']}", tolerance=30)
    alone = task_run(s)
    s.get(f"/ui/task_runs/{alone['id']}", tolerance=30)
    s.get(f"/ui/task_runs/{s.uuid()}")
    bad_ids(s, "GET", "/ui/task_runs/{id}")
    mine = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    for body in (
        mine, {**mine, "task_runs": {"state": {"type": {"any_": ["FAILED"]}}}}, {**mine, "deployments": {}}, [], "x",
        {"flows": {"id": {"any_": [NO_ID]}}}, {**mine, "task_runs": {"x": 1}},
    ):  # fmt: skip
        s.post("/ui/task_runs/count", body)
    # All of them fall into the last but one of the intervals, whichever the second is.
    times = {"after_": s.now(-7200), "before_": s.now(400)}
    for body in (
        {**mine, "task_runs": {"start_time": times}}, {**mine, "task_runs": {"start_time": {"after_": s.now(-7200)}}},
        {**mine, "task_runs": {"start_time": times, "state": {"type": {"any_": ["FAILED"]}}}},
        {**mine, "task_runs": {"start_time": times, "name": {"like_": "nobody"}}}, {**mine, "task_runs": {}}, mine, [],
        {**mine, "task_runs": {"start_time": {"before_": s.now()}}}, {"task_runs": None}, "x", {},
        {**mine, "task_runs": {"start_time": times}, "work_pools": {"name": {"any_": ["nobody"]}}},
        {**mine, "task_runs": {"start_time": times}, "work_queues": {"name": {"any_": ["nobody"]}}},
        {**mine, "task_runs": {"start_time": times}, "work_queues": {"x": 1}, "work_pools": {"y": 2}},
        {**mine, "task_runs": {"start_time": times}, "flows": {}, "deployments": None},
    ):  # fmt: skip
        s.post("/ui/task_runs/dashboard/counts", body)
    wrong_methods(s, "/ui/task_runs/count", ("POST",))
    wrong_methods(s, "/ui/task_runs/dashboard/counts", ("POST",))
    wrong_methods(s, "/ui/flow_runs/history", ("POST",))
