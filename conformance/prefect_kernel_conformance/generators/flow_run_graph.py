"""Random graphs: tasks that take the results of others, tasks within tasks, subflows, artifacts."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences._make import flow, flow_run, set_state, set_task_state, task_run

ENDS = ("COMPLETED", "COMPLETED", "FAILED", "CRASHED", "CANCELLED")
SETS = ("body.nodes[][1].children", "body.nodes[][1].parents", "body.nodes[][1].encapsulating")


def _inputs(rng: Random, before: list[Ref]) -> dict[str, Any]:
    chosen = rng.sample(before, min(len(before), rng.choice([0, 1, 1, 2])))
    inputs: dict[str, Any] = {
        f"x{number}": [{"input_type": "task_run", "id": one["id"]}] for number, one in enumerate(chosen)
    }
    if before and rng.random() < 0.2:
        inputs["__parents__"] = [{"input_type": "task_run", "id": rng.choice(before)["id"]}]
    if rng.random() < 0.2:
        inputs["y"] = [rng.choice([
            {"input_type": "constant", "type": "int"}, {"input_type": "parameter", "name": "p"},
        ])]  # fmt: skip
    return inputs


def _task(s: Script, rng: Random, run: Ref, number: int, before: list[Ref]) -> Ref:
    made = task_run(s, run, task_key=f"t{number}", name=f"task {number}", task_inputs=_inputs(rng, before))
    if rng.random() < 0.85:
        set_task_state(s, made, "RUNNING", force=True)
        if rng.random() < 0.7:
            set_task_state(s, made, rng.choice(ENDS), force=True)
    if rng.random() < 0.2:
        s.post("/artifacts/", {
            "flow_run_id": run["id"], "task_run_id": made["id"], "data": rng.choice([0.5, "x", None]),
            "type": rng.choice(["progress", "markdown", "result", "table"]), "key": s.name(f"key-{rng.randrange(2)}"),
        })  # fmt: skip
    return made


@generator
def graphs(s: Script, rng: Random) -> None:
    """A flow run with a few tasks, and perhaps a subflow."""
    run = flow_run(s)
    if rng.random() < 0.8:
        set_state(s, run, "RUNNING", force=True)
    before: list[Ref] = []
    for number in range(rng.randrange(7)):
        before.append(_task(s, rng, run, number, before))
        if rng.random() < 0.2:
            body = {"flow_id": flow(s)["id"], "name": s.name(f"sub {number}"), "parent_task_run_id": before[-1]["id"]}
            sub = s.post("/flow_runs/", body)
            for type_ in ("RUNNING", rng.choice(ENDS))[: rng.randrange(3)]:
                set_state(s, sub, type_, force=True)
    if rng.random() < 0.2:
        s.post("/artifacts/", {"flow_run_id": run["id"], "type": "markdown", "data": "x"})
    if rng.random() < 0.5:
        set_state(s, run, rng.choice(ENDS), force=True)
    s.get(f"/flow_runs/{run['id']}/graph-v2", unordered=SETS)
    s.get(f"/flow_runs/{run['id']}/graph-v2?since={s.now(rng.choice([-60, 60]))}", unordered=SETS)
    s.get(f"/flow_runs/{run['id']}/graph", tolerance=30, unordered=("body", "body[].upstream_dependencies"))
