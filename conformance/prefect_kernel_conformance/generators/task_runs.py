"""Random queries of task runs."""

from __future__ import annotations

from random import Random

from .. import world
from ..script import Script, generator
from ..sequences._make import flow_run, task_run
from ._filters import filters
from ._mangle import mangle
from ._queries import history, query

OTHERS = ("flows", "flow_runs", "deployments")
SORTS = ("ID_DESC", "NAME_ASC", "NAME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC")


@generator(world=True, pristine=True, weight=8)
def queries(s: Script, rng: Random) -> None:
    """A random filter of task runs."""
    query(s, rng, "task_runs", OTHERS, SORTS)


@generator(world=True, pristine=True)
def histories(s: Script, rng: Random) -> None:
    """A random history of task runs."""
    first = rng.randrange(-60, 900)
    history(s, rng, "task_runs", OTHERS, world.when(first), world.when(first + rng.choice([30, 240, 1440])))


@generator(weight=2)
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    of = flow_run(s)
    run = task_run(s, of)
    details = {"scheduled_time": s.now(60), "cache_key": s.name("k"), "retriable": True, "deferred": False}
    proposed = {"type": "SCHEDULED", "name": "Mine", "message": "m", "state_details": details, "data": None}
    policy = {"retries": 1, "retry_delay": [1, 2], "retry_jitter_factor": 0.5}
    inputs = {"x": [{"input_type": "task_run", "id": run["id"]}], "y": [{"input_type": "parameter", "name": "p"}]}
    whole = {
        "flow_run_id": of["id"], "name": s.name("task"), "task_key": s.name("key"), "dynamic_key": "1",
        "state": proposed, "cache_key": "c", "task_version": "1", "empirical_policy": policy, "tags": ["a"],
        "labels": {"l": 1}, "task_inputs": inputs, "cache_expiration": s.now(60), "id": s.uuid("mine"),
    }  # fmt: skip
    path = f"/task_runs/{run['id']}"
    mangle(s, rng, {
        ("POST", "/task_runs/"): whole,
        ("PATCH", path): {"name": "n"},
        ("POST", f"{path}/set_state"): {"state": proposed, "force": False},
    })  # fmt: skip
    s.get(path)


@generator(world=True, pristine=True)
def wrong_queries(s: Script, rng: Random) -> None:
    """Filters with something wrong in them."""
    body = {**filters(rng, "task_runs", OTHERS), "sort": "ID_DESC", "limit": 5}
    window = {"history_start": world.when(0), "history_end": world.when(60), "history_interval_seconds": 3600}
    mangle(s, rng, {
        ("POST", "/task_runs/filter"): {**body, "offset": 1},
        ("POST", "/task_runs/paginate"): {**body, "page": 2},
        ("POST", "/task_runs/count"): body,
        ("POST", "/task_runs/history"): {**body, **window},
    }, tolerance=5)  # fmt: skip
