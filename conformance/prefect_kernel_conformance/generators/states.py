"""Random lives of runs, read state by state."""

from __future__ import annotations

from random import Random

from ..script import Ref, Script, generator
from ..sequences._make import flow_run, propose, task_run
from .flow_policies import random_state


@generator
def lives(s: Script, rng: Random) -> None:
    """Each state of a flow run and of a task run, by itself and in the list of its run."""
    flow_states: list[Ref] = []
    task_states: list[Ref] = []
    run = flow_run(s)
    task = task_run(s, run)
    for _ in range(rng.randrange(2, 7)):
        force = True if rng.random() < 0.5 else None
        if rng.random() < 0.5:
            answer = propose(s, f"/flow_runs/{run['id']}/set_state", random_state(s, rng), force)
            flow_states.append(answer["state"]["id"])
        else:
            answer = propose(s, f"/task_runs/{task['id']}/set_state", random_state(s, rng), force)
            task_states.append(answer["state"]["id"])
    for kind, states, of in (("flow", flow_states, run), ("task", task_states, task)):
        s.get(f"/{kind}_run_states/?{kind}_run_id={of['id']}")
        for state in rng.sample(states, min(len(states), 2)):
            s.get(f"/{kind}_run_states/{state}")
            s.get(f"/{'task' if kind == 'flow' else 'flow'}_run_states/{state}")
