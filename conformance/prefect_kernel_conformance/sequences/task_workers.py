"""Background tasks: who works, and how they are handed out."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import bad_bodies, bad_content_types, bad_fields, wrong_methods
from ._make import state, task_history, task_run

PATH = "/task_runs/subscriptions/scheduled"


def deferred(s: Script, key: str) -> dict[str, object]:
    """A background task run, as `task.delay()` makes it."""
    details = {"deferred": True, "task_parameters_id": s.uuid(f"parameters {key}")}
    return {"task_key": s.name("task"), "dynamic_key": key, "state": state("SCHEDULED", state_details=details)}


@sequence(independent=True)
def nobody_works(s: Script) -> None:
    """Without a worker on its key there is none in the list."""
    for filter_ in ({"task_keys": [s.name("key")]}, {"task_keys": []}):
        s.post("/task_workers/filter", {"task_worker_filter": filter_})
    bad_bodies(s, "POST", "/task_workers/filter", {"task_worker_filter": None})
    bad_content_types(s, "POST", "/task_workers/filter", '{"task_worker_filter": {"task_keys": ["x"]}}')
    bad_fields(s, "POST", "/task_workers/filter", {}, ("task_worker_filter",))
    bad_fields(s, "POST", "/task_workers/filter", {"task_keys": ["x"]}, ("task_keys",))
    wrong_methods(s, "/task_workers/filter", ("POST",))


@sequence
def handed_out(s: Script) -> None:
    """A worker gets the tasks of its key in order, each after it has acknowledged the one before."""
    tasks = [s.post("/task_runs/", deferred(s, key)) for key in "abc"]
    s.socket(
        PATH,
        ("send", {"type": "subscribe", "keys": [s.name("task")], "client_id": "me"}),
        ("receive", 1),
        ("silence", 0.5),
        ("send", {"type": "ack"}),
        ("receive", 1),
        ("send", {"type": "ack"}),
        ("receive", 1),
        ("send", {"type": "ack"}),
        ("silence", 0.5),
        ("send", {"type": "quit"}),
        ("receive", 1),
    )
    for task in tasks:
        task_history(s, task)


@sequence
def given_back(s: Script) -> None:
    """A task that was not acknowledged goes to the next worker, before the others."""
    for key in "ab":
        s.post("/task_runs/", deferred(s, key))
    subscribe = ("send", {"type": "subscribe", "keys": [s.name("task"), s.name("other")], "client_id": "me"})
    s.socket(PATH, subscribe, ("receive", 1))
    s.socket(PATH, subscribe, ("receive", 1), ("send", {"type": "ack"}), ("receive", 1), ("send", {"type": "ack"}))


@sequence
def retried(s: Script) -> None:
    """A deferred task that awaits its retry is handed out again."""
    task = s.post("/task_runs/", {**deferred(s, "a"), "empirical_policy": {"retries": 1, "retry_delay": 0}})
    subscribe = ("send", {"type": "subscribe", "keys": [s.name("task")], "client_id": "me"})
    s.socket(PATH, subscribe, ("receive", 1), ("send", {"type": "ack"}), ("silence", 0.3))
    path = f"/task_runs/{task['id']}/set_state"
    for type_ in ("PENDING", "RUNNING", "FAILED"):
        s.post(path, {"state": state(type_, state_details={"deferred": True})})
    s.post(path, {"state": state("SCHEDULED", "AwaitingRetry", state_details={"deferred": True})})
    s.socket(PATH, subscribe, ("receive", 1), ("send", {"type": "ack"}), ("silence", 0.3))


@sequence
def not_deferred(s: Script) -> None:
    """Task runs that are scheduled but not deferred are not handed out."""
    task_run(s, task_key=s.name("task"), state=state("SCHEDULED"))
    subscribe = ("send", {"type": "subscribe", "keys": [s.name("task")], "client_id": "me"})
    s.socket(PATH, subscribe, ("silence", 0.5))


@sequence
def protocol_violations(s: Script) -> None:
    """First frames that are no subscription."""
    for frame in (
        "x", "{}", "[]", {"type": "subscribe"}, {"type": "subscribe", "keys": []}, {"type": "ack"}, {"type": "quit"},
        {"type": "subscribe", "keys": ["a"]}, {"type": "subscribe", "keys": [], "client_id": "a"},
        {"type": "subscribe", "keys": ["a"], "client_id": ""}, {"type": "subscribe", "keys": "abc", "client_id": "a"},
    ):  # fmt: skip
        s.socket(PATH, ("send", frame), ("silence", 0.5))
    s.socket(PATH, ("send", {"type": "x"}), ("receive", 1), auth=False)
    s.socket(PATH, ("silence", 0.3), subprotocol=None)


@sequence
def wrong_acknowledgements(s: Script) -> None:
    """Anything but an acknowledgement after a task."""
    for number, frame in enumerate(({"type": "quit"}, {"type": "x"}, "{}", "x")):
        body = {**deferred(s, f"{number}"), "task_key": s.name(f"task-{number}")}
        s.post("/task_runs/", body)
        subscribe = ("send", {"type": "subscribe", "keys": [s.name(f"task-{number}")], "client_id": "me"})
        s.socket(PATH, subscribe, ("receive", 1), ("send", frame), ("silence", 0.5))
        s.socket(PATH, subscribe, ("silence", 0.5), ("send", {"type": "ack"}), ("silence", 0.2))


@sequence
def no_longer_waiting(s: Script) -> None:
    """A task that was cancelled or begun by somebody else meanwhile."""
    for type_ in ("CANCELLED", "RUNNING"):
        key = s.name(f"task-{type_}")
        task = s.post("/task_runs/", {**deferred(s, type_), "task_key": key})
        proposed = {"state": state(type_, state_details={"deferred": True}), "force": True}
        s.post(f"/task_runs/{task['id']}/set_state", proposed)
        s.socket(PATH, ("send", {"type": "subscribe", "keys": [key], "client_id": "me"}), ("silence", 0.5))
        task_history(s, task)
