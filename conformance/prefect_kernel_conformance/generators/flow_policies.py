"""Random walks of flow runs through states."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences._make import deployment, flow, flow_run, limited_deployment, propose, set_state, slots, state, task_run

TYPES = (
    "SCHEDULED", "PENDING", "PENDING", "RUNNING", "RUNNING", "RUNNING", "COMPLETED", "FAILED", "FAILED", "CANCELLED",
    "CRASHED", "PAUSED", "CANCELLING",
)  # fmt: skip
NAMES = {
    "SCHEDULED": ("Late", "AwaitingRetry", "Resuming", "AwaitingConcurrencySlot"),
    "PENDING": ("Submitting", "InfrastructurePending"),
    "PAUSED": ("Suspended",),
    "RUNNING": ("Retrying",),
    "CANCELLED": ("Cancelling",),
}
AGENTS = ("prefect/3.8.8 (API 0.8.4)", "prefect/3.4.10 (API 0.8.4)", "prefect/3.0.2 (API 0.8.3)", "")
VERSIONS = ("0.8.4", "0.8.3", "0.8.2", "0.8.0")


def first_state(s: Script, rng: Random, types: tuple[str, ...] = TYPES) -> dict[str, Any]:
    """A state to create a run in: without a result, with which Python Prefect fails."""
    return {key: value for key, value in random_state(s, rng, types).items() if key != "data"}


def random_state(s: Script, rng: Random, types: tuple[str, ...] = TYPES) -> dict[str, Any]:
    """A state with some of the details that rules look at."""
    type_ = rng.choice(types)
    made = state(type_)
    details: dict[str, Any] = {}
    if rng.random() < 0.25:
        made["name"] = rng.choice((*NAMES.get(type_, ()), "Mine"))
    if rng.random() < 0.15:
        made["message"] = rng.choice(["so", "", None])
    if rng.random() < 0.25:
        made["data"] = rng.choice([{"type": "reference", "k": 1}, {"type": "unpersisted"}, None, {"k": 2}])
    if rng.random() < 0.15:
        details["transition_id"] = s.uuid(f"transition {rng.randrange(2)}")
    if (type_ == "SCHEDULED" and rng.random() < 0.6) or rng.random() < 0.05:
        details["scheduled_time"] = s.now(rng.choice([-3600, -1, 600, 7200]))
    if type_ == "PAUSED":
        if rng.random() < 0.6:
            details["pause_timeout"] = s.now(rng.choice([-60, 600]))
        if rng.random() < 0.4:
            details["pause_reschedule"] = rng.random() < 0.7
        if rng.random() < 0.5:
            details["pause_key"] = rng.choice(["a", "b"])
    if details:
        made["state_details"] = details
    return made


def random_step(s: Script, rng: Random, run: Ref) -> None:
    """One thing that can happen to a flow run."""
    headers = {}
    if rng.random() < 0.3:
        headers["User-Agent"] = rng.choice(AGENTS)
    if rng.random() < 0.15:
        headers["X-PREFECT-API-VERSION"] = rng.choice(VERSIONS)
    headers = {name: value for name, value in headers.items() if value}
    chance = rng.random()
    if chance < 0.04:
        s.post(f"/flow_runs/{run['id']}/resume", rng.choice([{}, {"run_input": {"x": 1}}]))
    elif chance < 0.08:
        s.patch(f"/flow_runs/{run['id']}", rng.choice([{"infrastructure_pid": "host:1"}, {"tags": ["t"]}]))
    else:
        force = True if rng.random() < 0.1 else None
        propose(s, f"/flow_runs/{run['id']}/set_state", random_state(s, rng), force, headers=headers)


def _policy(rng: Random) -> dict[str, Any]:
    policy: dict[str, Any] = {}
    if rng.random() < 0.4:
        policy |= {"retries": rng.randrange(3), "retry_delay": rng.choice([0, 5, 60])}
    if rng.random() < 0.1:
        policy |= {"pause_keys": ["a"], "resuming": True}
    return policy


@generator(weight=3)
def walks(s: Script, rng: Random) -> None:
    """A run without a deployment, or a subflow, goes from state to state."""
    more: dict[str, Any] = {"empirical_policy": _policy(rng)}
    if rng.random() < 0.2:
        more["parent_task_run_id"] = task_run(s, flow_run(s), state=state("RUNNING"))["id"]
    if rng.random() < 0.7:
        more["state"] = first_state(s, rng)
    run = flow_run(s, **more)
    for _ in range(rng.randrange(2, 9)):
        random_step(s, rng, run)
    s.get(f"/flow_runs/{run['id']}")
    s.get(f"/flow_run_states/?flow_run_id={run['id']}")


@generator(weight=2)
def walks_of_deployments(s: Script, rng: Random) -> None:
    """Runs of a deployment, limited or not, go from state to state in turns."""
    parent = flow(s)
    of: Ref | None = None
    if rng.random() < 0.8:
        made, of = limited_deployment(s, parent, rng.choice([0, 1, 1, 2]), rng.choice([None, "ENQUEUE", "CANCEL_NEW"]))
    else:
        made = deployment(s, parent)
    runs = [
        flow_run(s, parent, deployment_id=made["id"], empirical_policy=_policy(rng), state=first_state(s, rng))
        for _ in range(rng.choice([1, 2, 3]))
    ]
    for _ in range(rng.randrange(3, 10)):
        random_step(s, rng, rng.choice(runs))
        if of is not None:
            slots(s, of)
    for run in runs:
        s.get(f"/flow_runs/{run['id']}")


@generator
def usual_ways(s: Script, rng: Random) -> None:
    """What really happens, with a detour: scheduled, pending, running, ended."""
    run = flow_run(s, state=state("SCHEDULED"), empirical_policy=_policy(rng))
    for type_ in ("PENDING", "RUNNING", rng.choice(["COMPLETED", "FAILED", "CRASHED", "PAUSED"])):
        if rng.random() < 0.2:
            random_step(s, rng, run)
        set_state(s, run, type_)
    random_step(s, rng, run)
    s.get(f"/flow_runs/{run['id']}")
