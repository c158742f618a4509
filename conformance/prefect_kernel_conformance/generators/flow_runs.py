"""Random queries of flow runs."""

from __future__ import annotations

from random import Random

from .. import world
from ..script import Script, generator
from ..sequences._make import flow, flow_run
from ._filters import filters
from ._mangle import mangle
from ._queries import history, query

OTHERS = ("flows", "task_runs", "deployments", "work_pools", "work_pool_queues")
SORTS = ("ID_DESC", "NAME_ASC", "NAME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC")


@generator(world=True, pristine=True, weight=8)
def queries(s: Script, rng: Random) -> None:
    """A random filter of flow runs."""
    query(s, rng, "flow_runs", OTHERS, SORTS)


@generator(world=True, pristine=True)
def histories(s: Script, rng: Random) -> None:
    """A random history of flow runs."""
    first = rng.randrange(-60, 900)
    others = ("flows", "task_runs", "deployments", "work_pools")
    history(s, rng, "flow_runs", others, world.when(first), world.when(first + rng.choice([30, 240, 1440])))


@generator(world=True, pristine=True)
def lateness(s: Script, rng: Random) -> None:
    """The average lateness of random runs."""
    s.post("/flow_runs/lateness", filters(rng, "flow_runs", OTHERS), tolerance=5)


@generator(weight=2)
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    of = flow(s)
    run, labelled = flow_run(s, of), flow_run(s, of)
    details = {"scheduled_time": s.now(60), "pause_key": "k", "retriable": True}
    proposed = {"type": "SCHEDULED", "name": "Late", "message": "m", "state_details": details, "data": None}
    policy = {"retries": 1, "retry_delay": 2, "pause_keys": ["a"], "resuming": False, "retry_type": "in_process"}
    whole = {
        "flow_id": of["id"], "name": s.name("run"), "state": proposed, "parameters": {"x": [1]}, "context": {"c": 1},
        "empirical_policy": policy, "tags": ["a"], "labels": {"l": 1}, "flow_version": "1", "job_variables": {"v": 1},
        "idempotency_key": s.name("key"), "deployment_id": None, "parent_task_run_id": None,
    }  # fmt: skip
    given = {"key": "k", "value": "v", "sender": f"prefect.flow-run.{s.uuid('sender')}"}
    path = f"/flow_runs/{run['id']}"
    mangle(s, rng, {
        ("POST", "/flow_runs/"): whole,
        ("PATCH", path): {
            "name": "n", "flow_version": "2", "parameters": {"y": 2}, "empirical_policy": policy, "tags": ["b"],
            "infrastructure_pid": "p", "job_variables": {"w": 2},
        },
        ("PATCH", f"/flow_runs/{labelled['id']}/labels"): {"a": 1, "b": "x", "c": 1.5, "d": True},
        ("POST", f"{path}/set_state"): {"state": proposed, "force": False},
        ("POST", f"{path}/resume"): {"run_input": {"x": 1}},
        ("POST", f"{path}/input"): given,
        ("POST", f"{path}/input/filter"): {"prefix": "k", "limit": 3, "exclude_keys": ["a"]},
    })  # fmt: skip
    s.get(path)


@generator(world=True, pristine=True)
def wrong_queries(s: Script, rng: Random) -> None:
    """Filters with something wrong in them."""
    body = {**filters(rng, "flow_runs", OTHERS), "sort": "ID_DESC", "limit": 5}
    window = {"history_start": world.when(0), "history_end": world.when(60), "history_interval_seconds": 3600}
    mangle(s, rng, {
        ("POST", "/flow_runs/filter"): {**body, "offset": 1},
        ("POST", "/flow_runs/paginate"): {**body, "page": 2},
        ("POST", "/flow_runs/count"): body,
        ("POST", "/flow_runs/lateness"): body,
        ("POST", "/flow_runs/history"): {**body, **window},
    }, tolerance=5)  # fmt: skip
