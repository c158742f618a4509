"""Cached states of task runs: what is kept under a key, for how long, and who finds it."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._make import flow_run, set_state, set_task_state, state, task_history, task_run

GROUP = "task_policies"


def _pending(s: Script, run: Ref, **more: Any) -> Ref:
    return task_run(s, run, **{"dynamic_key": f"{len(s.steps)}", "state": state("PENDING"), **more})


@sequence
def cache_expirations(s: Script) -> None:
    """Keys without an end, with one in the past, and with one to come; the deleted run's state is still found."""
    run = flow_run(s)
    set_state(s, run, "RUNNING")
    for seconds in (None, -1, 60):
        key = s.name(f"key {seconds}")
        details = {"cache_key": key, **({} if seconds is None else {"cache_expiration": s.now(seconds)})}
        first = _pending(s, run)
        set_task_state(s, first, "RUNNING", state_details=details)
        set_task_state(s, first, "COMPLETED", data={"type": "reference"}, state_details=details)
        for more in ({}, {"transition_id": s.uuid()}):
            found = _pending(s, run)
            set_task_state(s, found, "RUNNING", "Mine", state_details={"cache_key": key, **more})
            task_history(s, found)
        s.rows("task_run_state_cache", order_by="cache_key", cache_key=key)
        s.delete(f"/task_runs/{first['id']}")
        set_task_state(s, _pending(s, run), "RUNNING", state_details={"cache_key": key})


@sequence
def cache_keys_of_runs(s: Script) -> None:
    """A key that the run names, and none of its states, caches nothing."""
    run = flow_run(s)
    set_state(s, run, "RUNNING")
    task = _pending(s, run, cache_key=s.name("key"), cache_expiration=s.now(60))
    set_task_state(s, task, "RUNNING")
    set_task_state(s, task, "COMPLETED", data={"type": "reference"})
    task_history(s, task)
    s.rows("task_run_state_cache", order_by="cache_key", cache_key=s.name("key"))


@sequence
def cache_and_waiting(s: Script) -> None:
    """A cached state is found by a task that would have to wait, but not by the key of the state it is in."""
    run = flow_run(s)
    set_state(s, run, "RUNNING")
    key = {"cache_key": s.name("key")}
    first = _pending(s, run)
    set_task_state(s, first, "COMPLETED", data={"type": "reference"}, state_details=key)
    later = {"scheduled_time": s.now(100)}
    waiting = _pending(s, run, state=state("SCHEDULED", state_details=later))
    set_task_state(s, waiting, "RUNNING", state_details=key)
    task_history(s, waiting)
    named = _pending(s, run, state=state("SCHEDULED", state_details={**later, **key}))
    for type_ in ("RUNNING", "PENDING", "RUNNING"):
        set_task_state(s, named, type_)
    task_history(s, named)
    pending = _pending(s, run)
    set_task_state(s, pending, "PENDING", "Mine", state_details=key)
    set_task_state(s, pending, "RUNNING", state_details=key)
    task_history(s, pending)
