"""States of flow runs and of task runs, read by themselves."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import BAD_IDS, bad_ids, wrong_methods
from ._make import flow_run, set_state, set_task_state, state, task_run


@sequence
def flow_run_states(s: Script) -> None:
    """One state by its id, all states of a run by time."""
    run = flow_run(s)
    for type_ in ("RUNNING", "PAUSED", "RUNNING"):
        set_state(s, run, type_)
    last = set_state(s, run, "COMPLETED", data={"type": "reference", "k": 1}, message="done")
    s.get(f"/flow_run_states/{last['state']['id']}")
    s.get(f"/flow_run_states/?flow_run_id={run['id']}")
    s.get(f"/flow_run_states?flow_run_id={run['id']}")


@sequence
def task_run_states(s: Script) -> None:
    """One state by its id, all states of a run by time."""
    run = task_run(s, state=state("PENDING"))
    set_task_state(s, run, "RUNNING")
    last = set_task_state(s, run, "COMPLETED", data={"type": "reference", "k": 1}, message="done")
    s.get(f"/task_run_states/{last['state']['id']}")
    s.get(f"/task_run_states/?task_run_id={run['id']}")


@sequence
def messages_over_binary_data(s: Script) -> None:
    """A run fails with a text that PostgreSQL cannot hold as it is."""
    run = flow_run(s)
    set_state(s, run, "RUNNING")
    set_state(s, run, "FAILED", message="not \0text")
    s.get(f"/flow_runs/{run['id']}")


@sequence(independent=True)
def nothing_there(s: Script) -> None:
    """States and runs that do not exist, ids that are none."""
    for kind in ("flow", "task"):
        s.get(f"/{kind}_run_states/{s.uuid()}")
        s.get(f"/{kind}_run_states/?{kind}_run_id={s.uuid()}")
        s.get(f"/{kind}_run_states/")
        s.get(f"/{kind}_run_states/?{kind}_run_id=")
        s.get(f"/{kind}_run_states/?{kind}_run_id={s.uuid('a')}&{kind}_run_id={s.uuid('b')}&x=1")
        for bad in BAD_IDS:
            s.get(f"/{kind}_run_states/?{kind}_run_id={bad}")
        bad_ids(s, "GET", f"/{kind}_run_states/{{id}}")
        wrong_methods(s, f"/{kind}_run_states/", ("GET",))
        wrong_methods(s, f"/{kind}_run_states/00000000-0000-4000-8000-000000000000", ("GET",))
