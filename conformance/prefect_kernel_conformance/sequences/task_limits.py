"""Limits of tags as `prefect concurrency-limit` makes them, and retries of tasks.

On SQLite, Python Prefect locks itself out when a task takes a slot, as told in task_policies.
"""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._make import flow_run, set_state, set_task_state, state, task_history, task_run

GROUP = "task_policies"


def _ask(s: Script, task: Ref, type_: str, *, force: bool = False, several: bool = False, **more: Any) -> None:
    # How long to wait is drawn by lot; and of several limits, the reason tells in the order that the database likes.
    ignored = ("body.details.delay_seconds", *(("body.details.reason",) if several else ()))
    body = {"state": state(type_, **more), "force": force}
    s.post(f"/task_runs/{task['id']}/set_state", body, ignore=ignored)


def _limit(s: Script, stem: str, slots: int) -> str:
    s.post("/concurrency_limits/", {"tag": s.name(stem), "concurrency_limit": slots})
    return s.name(stem)


@sequence(dialect="postgres")
def tag_limit_of_the_first_routes(s: Script) -> None:
    """One slot and three tasks: who holds it, who waits, and what a reset does."""
    tag = _limit(s, "tag", 1)
    tasks = [task_run(s, dynamic_key=key, tags=[tag, "other"], state=state("PENDING")) for key in "abc"]
    for number, type_ in (
        (0, "RUNNING"), (1, "RUNNING"), (0, "RUNNING"), (0, "COMPLETED"), (1, "RUNNING"), (1, "PAUSED"), (2, "RUNNING"),
        (1, "RUNNING"), (2, "SCHEDULED"), (1, "CRASHED"), (0, "RUNNING"),
    ):  # fmt: skip
        _ask(s, tasks[number], type_)
        s.get(f"/concurrency_limits/tag/{tag}")
    s.post(f"/concurrency_limits/tag/{tag}/reset", {})
    s.post("/concurrency_limits/", {"tag": tag, "concurrency_limit": 2})
    for task in tasks:
        _ask(s, task, "RUNNING")
    for task in tasks:
        _ask(s, task, "FAILED", force=True)
        s.get(f"/concurrency_limits/tag/{tag}")
    s.delete(f"/concurrency_limits/tag/{tag}")
    _ask(s, tasks[0], "RUNNING")
    task_history(s, tasks[0])


@sequence(dialect="postgres")
def tag_limits_with_one_of_nothing(s: Script) -> None:
    """A limit of 0 aborts; beside one that is full, the task is told to wait for that."""
    two, one, none = _limit(s, "two", 2), _limit(s, "one", 1), _limit(s, "none", 0)
    of = ([two, one], [two, one], [two], [two, none], [none], [one], [])
    tasks = [task_run(s, dynamic_key=f"{number}", tags=tags, state=state("PENDING")) for number, tags in enumerate(of)]
    for type_ in ("RUNNING", "COMPLETED", "RUNNING", "CANCELLED"):
        for task in tasks[:1] if type_ == "COMPLETED" else tasks:
            _ask(s, task, type_, several=True)
        for tag in (two, one, none):
            s.get(f"/concurrency_limits/tag/{tag}")


@sequence(dialect="postgres")
def tag_limits_and_other_rules(s: Script) -> None:
    """Retries give the slot back, cached and waiting tasks take none, deleted ones leave theirs behind."""
    tag = _limit(s, "tag", 1)
    run = flow_run(s)
    set_state(s, run, "RUNNING")
    again = {"retries": 1, "retry_delay": 0}
    first, second = (
        task_run(s, run, dynamic_key=key, tags=[tag], state=state("PENDING"), empirical_policy=again) for key in "ab"
    )
    key = {"cache_key": s.name("key")}
    for task, type_, details in (
        (first, "RUNNING", {}), (first, "FAILED", {}), (second, "RUNNING", key), (first, "RUNNING", {}),
        (second, "COMPLETED", key), (first, "RUNNING", key), (first, "COMPLETED", {}),
    ):  # fmt: skip
        _ask(s, task, type_, state_details=details)
        s.get(f"/concurrency_limits/tag/{tag}")
    waits = state("SCHEDULED", state_details={"scheduled_time": s.now(300)})
    later = task_run(s, run, dynamic_key="later", tags=[tag], state=waits)
    born = task_run(s, run, dynamic_key="born", tags=[tag], state=state("RUNNING"))
    for task, type_ in ((later, "RUNNING"), (later, "PENDING"), (later, "RUNNING"), (born, "COMPLETED")):
        _ask(s, task, type_)
        s.get(f"/concurrency_limits/tag/{tag}")
    _ask(s, second, "RUNNING", force=True)
    s.delete(f"/task_runs/{second['id']}")
    s.get(f"/concurrency_limits/tag/{tag}")


@sequence
def delays_of_retries(s: Script) -> None:
    """One delay, several, fractions, none, and those of old clients and old rows."""
    for number, policy in enumerate((
        {"retries": 3, "retry_delay": [1, 2.5]}, {"retries": 3, "retry_delay": 1.5}, {"retries": 2, "retry_delay": 0.0},
        {"max_retries": 2, "retry_delay_seconds": 0}, {"retries": 1, "retry_delay": None, "retry_jitter_factor": 0},
    )):  # fmt: skip
        task = task_run(s, dynamic_key=f"{number}", empirical_policy=policy, state=state("PENDING"))
        for _ in range(4):
            set_task_state(s, task, "RUNNING", force=True)
            set_task_state(s, task, "FAILED")
        task_history(s, task)
    for number, row in enumerate(({"max_retries": 1, "retry_delay_seconds": 5}, {}, {"retries": 1})):
        task = task_run(s, dynamic_key=f"row {number}", state=state("RUNNING"))
        s.update("task_run", {"id": task["id"]}, empirical_policy=row)
        set_task_state(s, task, "FAILED")
        task_history(s, task)


@sequence
def empty_list_of_delays(s: Script) -> None:
    """Retries with a list of delays that has none."""
    task = task_run(s, empirical_policy={"retries": 3, "retry_delay": []}, state=state("RUNNING"))
    set_task_state(s, task, "FAILED")
    task_history(s, task)
