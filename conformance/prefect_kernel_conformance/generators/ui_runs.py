"""Random questions of the UI over the data set."""

from __future__ import annotations

from random import Random
from typing import Any

from .. import world
from ..script import Script, generator
from ._filters import TIMES, filters, ids, one
from ._mangle import mangle

HISTORY = ("flows", "task_runs", "deployments", "work_pools")
SORTS = ("ID_DESC", "NAME_ASC", "NAME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC")


@generator(world=True, pristine=True, weight=2)
def histories(s: Script, rng: Random) -> None:
    """Single flow runs for a scatter plot."""
    body: dict[str, Any] = {**filters(rng, "flow_runs", HISTORY), "sort": rng.choice(SORTS)}
    if rng.random() < 0.5:
        body |= {"limit": rng.choice([1, 5, 100, 1000]), "offset": rng.choice([0, 1, 10])}
    s.post("/ui/flow_runs/history", body, tolerance=30)


@generator(world=True, pristine=True)
def numbers(s: Script, rng: Random) -> None:
    """Task runs of flow runs, deployments and next runs of flows."""
    runs, flows = ids("flow_run", world.FLOW_RUNS)(rng), ids("flow", world.FLOWS)(rng)
    s.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": runs})
    s.post("/ui/flows/count-deployments", {"flow_ids": flows})
    s.post("/ui/flows/next-runs", {"flow_ids": flows})
    s.get(f"/ui/task_runs/{world.world_id('task_run', rng.randrange(world.TASK_RUNS + 3))}", tolerance=30)


@generator(world=True, pristine=True)
def task_runs(s: Script, rng: Random) -> None:
    """Task runs by their state, at all and over time."""
    body = filters(rng, "task_runs", ("flows", "flow_runs", "deployments"))
    s.post("/ui/task_runs/count", body)
    asked: dict[str, Any] = {**body.get("task_runs", {}), "start_time": {"after_": TIMES["after_"](rng)}}
    asked["start_time"]["before_"] = one(world.when(2000), TIMES["before_"](rng))(rng)
    s.post("/ui/task_runs/dashboard/counts", {**body, "task_runs": asked})


@generator(world=True, pristine=True)
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    window = {"start_time": {"after_": world.when(0), "before_": world.when(600)}}
    mangle(s, rng, {
        ("POST", "/ui/flow_runs/history"): {**filters(rng, "flow_runs", HISTORY), "limit": 5, "sort": "NAME_ASC"},
        ("POST", "/ui/flow_runs/count-task-runs"): {"flow_run_ids": ids("flow_run", 60)(rng)},
        ("POST", "/ui/flows/count-deployments"): {"flow_ids": ids("flow", world.FLOWS)(rng)},
        ("POST", "/ui/flows/next-runs"): {"flow_ids": ids("flow", world.FLOWS)(rng)},
        ("POST", "/ui/task_runs/count"): filters(rng, "task_runs", ("flows", "flow_runs")),
        ("POST", "/ui/task_runs/dashboard/counts"): {"task_runs": window, **filters(rng, "flow_runs", ("flows",))},
    }, tolerance=30)  # fmt: skip
