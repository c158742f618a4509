"""Random walks of task runs through states."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Script, generator
from ..sequences._make import flow_run, propose, set_state, state, task_run
from .flow_policies import random_state

TYPES = (
    "SCHEDULED", "PENDING", "PENDING", "RUNNING", "RUNNING", "RUNNING", "COMPLETED", "COMPLETED", "FAILED", "FAILED",
    "CANCELLED", "CRASHED", "PAUSED", "CANCELLING",
)  # fmt: skip


def _state(s: Script, rng: Random, deferred: bool) -> dict[str, Any]:
    made = random_state(s, rng, TYPES)
    details = made.setdefault("state_details", {})
    if rng.random() < 0.3:
        details["cache_key"] = s.name(rng.choice(["key", "other"]))
        if rng.random() < 0.3:
            details["cache_expiration"] = s.now(rng.choice([-5, 600]))
        if rng.random() < 0.1:
            details["refresh_cache"] = True
    if rng.random() < 0.1:
        details["retriable"] = rng.random() < 0.5
    if deferred and rng.random() < 0.8:
        details["deferred"] = True
        if rng.random() < 0.3:
            details["task_parameters_id"] = s.uuid("parameters")
    return made


def _first(s: Script, rng: Random, deferred: bool) -> dict[str, Any]:
    return {key: value for key, value in _state(s, rng, deferred).items() if key != "data"}


def _policy(rng: Random) -> dict[str, Any]:
    if rng.random() < 0.5:
        return {}
    delay: Any = rng.choice([0, 5, [1, 30], [60]])
    return {"retries": rng.randrange(3), "retry_delay": delay}


@generator
def walks(s: Script, rng: Random) -> None:
    """Two task runs, with or without a flow run, deferred or not, go from state to state in turns."""
    run = (
        flow_run(s, state=state(rng.choice(["RUNNING", "RUNNING", "RUNNING", "PENDING"])))
        if rng.random() < 0.7
        else None
    )
    deferred = rng.random() < 0.2
    tasks = [
        task_run(s, run, dynamic_key=key, empirical_policy=_policy(rng), state=_first(s, rng, deferred)) for key in "ab"
    ]
    for _ in range(rng.randrange(3, 10)):
        task = rng.choice(tasks)
        force = True if rng.random() < 0.1 else None
        propose(s, f"/task_runs/{task['id']}/set_state", _state(s, rng, deferred), force)
        if run is not None and rng.random() < 0.1:
            set_state(s, run, rng.choice(["RUNNING", "PAUSED", "COMPLETED", "CANCELLING"]))
    for task in tasks:
        s.get(f"/task_runs/{task['id']}")
        s.get(f"/task_run_states/?task_run_id={task['id']}")
