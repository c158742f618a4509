"""Graphs of flow runs in both versions, and their logs as a file."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._bad_input import bad_ids, wrong_methods
from ._make import flow, flow_run, set_state, set_task_state, task_run


def _inputs(*runs: Ref, within: Ref | None = None) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        f"x{number}": [{"input_type": "task_run", "id": run["id"]}] for number, run in enumerate(runs)
    }
    if within is not None:
        inputs["__parents__"] = [{"input_type": "task_run", "id": within["id"]}]
    return inputs


def _ran(s: Script, run: Ref) -> None:
    for type_ in ("RUNNING", "COMPLETED"):
        set_task_state(s, run, type_, force=True)


def _both(s: Script, run: Ref) -> None:
    """Both versions. The first lists task runs by their ids, which are chance: it is asked where there is but one."""
    s.get(f"/flow_runs/{run['id']}/graph-v2")
    s.get(f"/flow_runs/{run['id']}/graph", tolerance=30)


@sequence
def nothing_yet(s: Script) -> None:
    """A run without task runs, and one that is not there."""
    run = flow_run(s)
    _both(s, run)
    set_state(s, run, "RUNNING", force=True)
    _both(s, run)
    for version in ("graph", "graph-v2"):
        s.get(f"/flow_runs/{s.uuid()}/{version}")


@sequence
def a_chain(s: Script) -> None:
    """Each task takes the result of the one before it; one is still running."""
    run = flow_run(s)
    set_state(s, run, "RUNNING", force=True)
    first = task_run(s, run, task_key="a", name="first")
    _ran(s, first)
    second = task_run(s, run, task_key="b", name="second", task_inputs=_inputs(first))
    _ran(s, second)
    third = task_run(s, run, task_key="c", name="third", task_inputs=_inputs(second))
    set_task_state(s, third, "RUNNING", force=True)
    task_run(s, run, task_key="d", name="not begun")
    s.get(f"/flow_runs/{run['id']}/graph-v2")
    for since in (s.now(-60), s.now(3600), "2100-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "x", "", "1"):
        s.get(f"/flow_runs/{run['id']}/graph-v2?since={since}")


@sequence
def a_diamond(s: Script) -> None:
    """Several parents, several children, and inputs that are no runs."""
    run = flow_run(s)
    top = task_run(s, run, task_key="top", name="top")
    _ran(s, top)
    sides = []
    for side in ("left", "right"):
        made = task_run(s, run, task_key=side, name=side, task_inputs=_inputs(top))
        _ran(s, made)
        sides.append(made)
    bottom = task_run(s, run, task_key="bottom", name="bottom", task_inputs=_inputs(*sides))
    _ran(s, bottom)
    s.get(f"/flow_runs/{run['id']}/graph-v2", unordered=("body.nodes[][1].children", "body.nodes[][1].parents"))


@sequence
def within_a_task(s: Script) -> None:
    """Tasks that are called within another one."""
    run = flow_run(s)
    outer = task_run(s, run, task_key="outer", name="outer")
    set_task_state(s, outer, "RUNNING", force=True)
    for number in range(2):
        inner = task_run(s, run, task_key=f"inner {number}", name=f"inner {number}", task_inputs=_inputs(within=outer))
        _ran(s, inner)
    s.get(f"/flow_runs/{run['id']}/graph-v2")


@sequence
def a_subflow(s: Script) -> None:
    """A subflow's run stands in for its task run."""
    run = flow_run(s)
    stands = task_run(s, run, task_key="sub", name="sub")
    sub = s.post("/flow_runs/", {"flow_id": flow(s)["id"], "name": s.name("sub"), "parent_task_run_id": stands["id"]})
    set_state(s, sub, "RUNNING", force=True)
    _both(s, run)
    inner = task_run(s, sub, task_key="inner", name="inner")
    _ran(s, inner)
    _both(s, sub)
    set_state(s, sub, "COMPLETED", force=True)
    _both(s, run)


@sequence
def with_artifacts(s: Script) -> None:
    """Artifacts of the run and of its tasks; results are not shown, data only of progress."""
    run = flow_run(s)
    task = task_run(s, run, task_key="a", name="a")
    _ran(s, task)
    of_task = {"flow_run_id": run["id"], "task_run_id": task["id"]}
    for number, body in enumerate((
        {"key": s.name("k"), "type": "table", "data": [1], **of_task}, {"type": "progress", "data": 0.5, **of_task},
        {"key": s.name("k"), "type": "markdown", "data": "x", "flow_run_id": run["id"]},
        {"type": "result", "data": 1, "flow_run_id": run["id"]}, {"data": 1, "flow_run_id": run["id"]},
        {"type": "progress", "data": {"p": 50.0}, "flow_run_id": run["id"]},
    )):  # fmt: skip
        s.post("/artifacts/", {**body, "description": str(number)})
    s.get(f"/flow_runs/{run['id']}/graph-v2")


@sequence
def logs_as_a_file(s: Script) -> None:
    """All lines, the oldest first."""
    run = s.post("/flow_runs/", {"flow_id": flow(s)["id"], "name": f'größe "a" {s.name("run")}'})
    path = f"/flow_runs/{run['id']}/logs/download"
    s.get(path)
    lines = [
        {
            "name": "n", "level": 20 + number, "message": message, "timestamp": f"2026-03-01T12:00:0{number}{rest}",
            "flow_run_id": run["id"], "task_run_id": s.uuid("task") if number % 2 else None,
        }
        for number, (message, rest) in enumerate((
            ("plain", "Z"), ('a "quoted", text', ".5Z"), ("two\nlines", ".123456+02:00"), ("größe ✓", "Z"), ("", "Z"),
        ))
    ]  # fmt: skip
    s.post("/logs/", lines[::-1])
    s.get(path)
    s.get(path, headers={"accept-encoding": "identity"})
    s.get(f"/flow_runs/{s.uuid()}/logs/download")


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    for tail in ("graph", "graph-v2", "logs/download"):
        bad_ids(s, "GET", f"/flow_runs/{{id}}/{tail}")
        wrong_methods(s, f"/flow_runs/00000000-0000-4000-8000-000000000000/{tail}", ("GET",))
