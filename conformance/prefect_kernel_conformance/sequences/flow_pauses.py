"""Rules of the flow policies about pausing, suspending and resuming."""

from __future__ import annotations

import json

from ..script import Ref, Script, sequence
from ._make import flow_run, history, set_state, state, task_run, walk
from .flow_policies import TERMINAL, TYPES

GROUP = "flow_policies"

# HandlePausingFlows, HandleResumingPausedFlows


def _paused(s: Script, name: str | None = None, **more: object) -> Ref:
    run = flow_run(s)
    set_state(s, run, "RUNNING")
    set_state(s, run, "PAUSED", name, state_details={"pause_timeout": s.now(300), "pause_key": "k", **more})
    return run


@sequence
def pausing_fires(s: Script) -> None:
    """Only running flows pause; a key works once; subflows and runs without deployment do not suspend."""
    for type_ in (*TERMINAL, "SCHEDULED", "PENDING", "PAUSED", "CANCELLING"):
        for name in (None, "Suspended"):
            run = flow_run(s, state=state(type_))
            set_state(s, run, "PAUSED", name, state_details={"pause_key": "k"})
            history(s, run)
    run = _paused(s)
    walk(s, run, "RUNNING")
    for name in (None, "Suspended"):
        set_state(s, run, "PAUSED", name, state_details={"pause_key": "k"})
    history(s, run)
    running = flow_run(s, state=state("RUNNING"))
    set_state(s, running, "PAUSED", "Suspended", state_details={"pause_reschedule": True})
    history(s, running)
    parent = flow_run(s)
    task = task_run(s, parent, state=state("RUNNING"))
    child = flow_run(s, parent_task_run_id=task["id"], state=state("RUNNING"))
    set_state(s, child, "PAUSED", "Suspended", state_details={"pause_reschedule": True})
    history(s, child)


@sequence
def pausing_does_not_fire(s: Script) -> None:
    """A running flow pauses, with and without a key; subflows pause, too."""
    for details in ({}, {"pause_key": "a"}, {"pause_key": None, "pause_timeout": s.now(-1)}):
        run = flow_run(s, state=state("RUNNING"))
        set_state(s, run, "PAUSED", state_details=details)
        history(s, run)
        walk(s, run, "RUNNING", "PAUSED", "RUNNING")
        history(s, run)


@sequence
def resuming(s: Script) -> None:
    """From paused: which types are allowed."""
    for type_ in TYPES:
        for name in (None, "Mine"):
            run = _paused(s)
            set_state(s, run, type_, name)
            history(s, run)


@sequence
def resuming_too_late(s: Script) -> None:
    """A pause that has timed out fails the run."""
    for name in (None, "Suspended"):
        for type_ in ("RUNNING", "SCHEDULED", "CANCELLING", "COMPLETED"):
            run = flow_run(s, state=state("PAUSED", name, state_details={"pause_timeout": s.now(-10)}))
            set_state(s, run, type_)
            history(s, run)


@sequence
def resuming_counts(s: Script) -> None:
    """Resuming is no new run: the count stays."""
    run = _paused(s)
    walk(s, run, "RUNNING")
    s.get(f"/flow_runs/{run['id']}")
    walk(s, run, "COMPLETED")
    history(s, run)


@sequence
def resume_route(s: Script) -> None:
    """POST resume, of paused runs and of others."""
    for type_ in TYPES:
        run = flow_run(s, state=state(type_, state_details={"pause_timeout": s.now(300)}))
        s.post(f"/flow_runs/{run['id']}/resume")
        history(s, run)
    s.post(f"/flow_runs/{s.uuid()}/resume")
    s.post(f"/flow_runs/{s.uuid()}/resume", {"run_input": {"a": 1}})
    run = flow_run(s, state=state("PAUSED", state_details={"pause_timeout": s.now(-300)}))
    s.post(f"/flow_runs/{run['id']}/resume", {})
    history(s, run)


@sequence
def resume_with_input(s: Script) -> None:
    """The input is checked against the schema that the pause brought."""
    schema = {
        "title": "Answer", "type": "object", "required": ["x"],
        "properties": {"x": {"type": "integer", "title": "X"}, "y": {"type": "string", "default": "z"}},
    }  # fmt: skip
    for given in ({"run_input": {"x": 1}}, {"run_input": {"x": "no"}}, {"run_input": {}}, {"run_input": None}, {},
                  {"run_input": {"x": 1, "more": 2}}, {"run_input": {"x": {"__prefect_kind": "json", "value": "5"}}},
                  {"run_input": {"x": {"__prefect_kind": "jinja", "template": "{{ 5 }}"}}},
                  {"run_input": []}, {"run_input": 5}):  # fmt: skip
        run = flow_run(s, state=state("RUNNING"))
        path = f"/flow_runs/{run['id']}"
        keys = {"schema": "k-schema", "response": "k-response", "description": "k-description"}
        s.post(f"{path}/input", {"key": "k-schema", "value": json.dumps(schema)})
        set_state(s, run, "PAUSED", state_details={"pause_timeout": s.now(300), "run_input_keyset": keys})
        s.post(f"{path}/resume", given)
        s.get(f"{path}/input/k-response")
        history(s, run)


@sequence
def resume_with_bad_keysets(s: Script) -> None:
    """Keys that are missing, and inputs that are no schema."""
    for keys, value in (
        ({}, None), ({"schema": "s"}, None), ({"response": "r"}, None), ({"schema": "s", "response": "r"}, None),
        ({"schema": "s", "response": "r"}, "no json"), ({"schema": "s", "response": "r"}, "null"),
        ({"schema": "s", "response": "r"}, '{"type": "wrong"}'), ({"schema": "s", "response": "r"}, "[]"),
    ):  # fmt: skip
        run = flow_run(s, state=state("RUNNING"))
        path = f"/flow_runs/{run['id']}"
        if value is not None:
            s.post(f"{path}/input", {"key": "s", "value": value})
        set_state(s, run, "PAUSED", state_details={"pause_timeout": s.now(300), "run_input_keyset": keys})
        s.post(f"{path}/resume", {"run_input": {"x": 1}})
        s.get(f"{path}/input/r")
        history(s, run)
