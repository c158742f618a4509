"""The rules of background tasks: states that are deferred, or that a worker proposes to such a run."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._make import propose, state

GROUP = "task_policies"


def _run(s: Script, **more: Any) -> Ref:
    return s.post(
        "/task_runs/",
        {"task_key": s.name("background"), "dynamic_key": s.name("key"), "flow_run_id": None, **more},
    )


def _deferred(s: Script, run: Ref, type_: str, **details: Any) -> None:
    proposed = {**state(type_), "state_details": {"deferred": True, **details}}
    propose(s, f"/task_runs/{run['id']}/set_state", proposed, None)


@sequence
def background_waits(s: Script) -> None:
    """A deferred run does not start before its time, nor pending twice; its parameters' id goes along."""
    later = {"deferred": True, "scheduled_time": s.now(900), "task_parameters_id": s.uuid("parameters")}
    run = _run(s, state={**state("SCHEDULED"), "state_details": later})
    _deferred(s, run, "RUNNING")
    _deferred(s, run, "PENDING")
    _deferred(s, run, "PENDING")
    _deferred(s, run, "RUNNING")
    s.get(f"/task_runs/{run['id']}")
    s.get(f"/task_run_states/?task_run_id={run['id']}")


@sequence
def background_retries(s: Script) -> None:
    """A deferred run that fails is tried again, as often as its policy says."""
    run = _run(s, empirical_policy={"retries": 1, "retry_delay": 0}, state=state("PENDING"))
    for type_ in ("RUNNING", "FAILED", "RUNNING", "FAILED", "RUNNING"):
        _deferred(s, run, type_)
    s.get(f"/task_runs/{run['id']}")
    s.get(f"/task_run_states/?task_run_id={run['id']}")


@sequence
def background_caches(s: Script) -> None:
    """What a deferred run has computed is found by the next one with the same key."""
    key, kept = s.name("cache"), {"cache_expiration": s.now(3600)}
    first, second = _run(s), _run(s)
    _deferred(s, first, "RUNNING", cache_key=key)
    _deferred(s, first, "COMPLETED", cache_key=key, **kept)
    _deferred(s, second, "RUNNING", cache_key=key)
    s.get(f"/task_runs/{second['id']}")
    s.get(f"/task_run_states/?task_run_id={second['id']}")
    third = _run(s)
    _deferred(s, third, "RUNNING", cache_key=key, refresh_cache=True)
