"""Rules of the task policies: each where it fires, where it does not, and where another is first."""

from __future__ import annotations

from collections.abc import Callable

from ..script import Script, sequence
from ._make import flow_run, limit, set_state, set_task_state, slots, state, task_history, task_run, task_run_in

TYPES = ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING")
PERSISTED = {"type": "reference", "storage_key": "k"}
UNPERSISTED = {"type": "unpersisted"}


def _matrix(initial: str, *, force: bool, deferred: bool = False) -> Callable[[Script], None]:
    def play(s: Script) -> None:
        run = flow_run(s, state=state("RUNNING"))
        details = {"deferred": True} if deferred else {}
        for type_ in TYPES:
            task = task_run(s, run, dynamic_key=type_, state=state(initial, state_details=details))
            set_task_state(s, task, type_, force=force, state_details=details)
            task_history(s, task)

    kind = "_deferred" if deferred else "_forced" if force else ""
    play.__doc__ = f"From {initial} to each type{kind.replace('_', ', ')}."
    play.__name__ = f"from_{initial.lower()}{kind}"
    return play


for _initial in TYPES:
    sequence(_matrix(_initial, force=False))
    sequence(_matrix(_initial, force=True))
    sequence(_matrix(_initial, force=False, deferred=True))


@sequence
def life(s: Script) -> None:
    """Pending, running, completed, with a result."""
    run = flow_run(s, state=state("RUNNING"))
    task = task_run(s, run, state=state("PENDING"))
    set_task_state(s, task, "RUNNING")
    set_task_state(s, task, "COMPLETED", data=PERSISTED)
    task_history(s, task)


# CacheRetrieval, CacheInsertion


@sequence
def cache_fires(s: Script) -> None:
    """A completed state under a key is found by the next run with that key."""
    run = flow_run(s, state=state("RUNNING"))
    key = {"cache_key": s.name("key")}
    first = task_run(s, run, dynamic_key="1", state=state("PENDING"))
    set_task_state(s, first, "RUNNING", state_details=key)
    set_task_state(s, first, "COMPLETED", data=PERSISTED, message="done", state_details=key)
    second = task_run(s, run, dynamic_key="2", state=state("PENDING"))
    set_task_state(s, second, "RUNNING", state_details=key)
    task_history(s, second)


@sequence
def cache_does_not_fire(s: Script) -> None:
    """Expired, refreshed, under another key, of a run that failed, and forced."""
    run = flow_run(s, state=state("RUNNING"))
    key = {"cache_key": s.name("key")}
    for number, (details, last) in enumerate((
        ({**key, "cache_expiration": s.now(-5)}, "COMPLETED"),
        (key, "FAILED"),
        ({"cache_key": s.name("other")}, "COMPLETED"),
    )):  # fmt: skip
        first = task_run(s, run, dynamic_key=f"{number}", state=state("PENDING"))
        set_task_state(s, first, "RUNNING", state_details=details)
        set_task_state(s, first, last, state_details=details)
    task = task_run(s, run, dynamic_key="a", state=state("PENDING"))
    set_task_state(s, task, "RUNNING", state_details=key)
    set_task_state(s, task, "COMPLETED", state_details={**key, "cache_expiration": s.now(600)})
    for name, force, details in (("b", False, {**key, "refresh_cache": True}), ("c", True, key), ("d", False, key)):
        again = task_run(s, run, dynamic_key=name, state=state("PENDING"))
        set_task_state(s, again, "RUNNING", force=force, state_details=details)
        task_history(s, again)


@sequence
def cache_takes_the_newest(s: Script) -> None:
    """Of two states under one key the newer one is used."""
    run = flow_run(s, state=state("RUNNING"))
    key = {"cache_key": s.name("key"), "refresh_cache": True}
    for number in range(2):
        task = task_run(s, run, dynamic_key=f"{number}", state=state("PENDING"))
        set_task_state(s, task, "RUNNING", state_details=key)
        set_task_state(s, task, "COMPLETED", message=f"{number}", state_details=key)
    task = task_run(s, run, dynamic_key="x", state=state("PENDING"))
    set_task_state(s, task, "RUNNING", state_details={"cache_key": s.name("key")})
    task_history(s, task)


@sequence
def cache_key_too_long(s: Script) -> None:
    """A key of more than 2000 characters."""
    for length in (2000, 2001):
        task = task_run(s, dynamic_key=f"{length}", state=state("RUNNING"))
        key = f"{s.name('k')}".ljust(length - 60, "x") if length < 2001 else "x" * length
        set_task_state(s, task, "COMPLETED", state_details={"cache_key": key})
        task_history(s, task)


@sequence
def cache_is_first(s: Script) -> None:
    """A cached state is found even for a run whose flow has stopped, and for one that completed."""
    run = flow_run(s, state=state("RUNNING"))
    key = {"cache_key": s.name("key")}
    first = task_run(s, run, dynamic_key="1", state=state("RUNNING"))
    set_task_state(s, first, "COMPLETED", data=PERSISTED, state_details=key)
    second = task_run(s, run, dynamic_key="2", state=state("PENDING"))
    set_state(s, run, "COMPLETED")
    set_task_state(s, second, "RUNNING", state_details=key)
    set_task_state(s, first, "RUNNING", state_details=key)
    task_history(s, first)
    task_history(s, second)


# HandleTaskTerminalStateTransitions


@sequence
def terminal(s: Script) -> None:
    """From terminal states with each kind of result."""
    run = flow_run(s, state=state("RUNNING"))
    for initial in ("COMPLETED", "FAILED"):
        for data in (None, PERSISTED, UNPERSISTED, 5, {}, {"k": 1}):
            for type_ in ("RUNNING", "COMPLETED", "PENDING", "CRASHED"):
                task = task_run_in(s, run, f"{initial} {data} {type_}", initial, data=data)
                set_task_state(s, task, type_, data=PERSISTED)
                s.get(f"/task_runs/{task['id']}")


@sequence
def rerun(s: Script) -> None:
    """A task that ended runs again: its count starts anew, its name says so."""
    run = flow_run(s, state=state("RUNNING"))
    task = task_run(s, run, state=state("PENDING"))
    for type_ in ("RUNNING", "FAILED", "RUNNING", "CRASHED", "PENDING", "RUNNING", "COMPLETED"):
        set_task_state(s, task, type_)
        s.get(f"/task_runs/{task['id']}")
    set_state(s, run, "FAILED")
    set_state(s, run, "RUNNING")
    set_task_state(s, task, "RUNNING")
    task_history(s, task)


# PreventRunningTasksFromStoppedFlows


@sequence
def flow_is_not_running(s: Script) -> None:
    """Tasks start only while their flow runs."""
    for type_ in TYPES:
        details = {"pause_timeout": s.now(600), "pause_reschedule": True} if type_ == "PAUSED" else {}
        run = flow_run(s, state=state(type_, state_details=details))
        task = task_run(s, run, dynamic_key=type_, state=state("PENDING"))
        set_task_state(s, task, "RUNNING")
        task_history(s, task)
        set_task_state(s, task, "RUNNING", force=True)
        s.get(f"/task_runs/{task['id']}")


@sequence
def no_flow_run(s: Script) -> None:
    """A task without a flow run may start at any time."""
    task = task_run(s, state=state("PENDING"))
    for type_ in ("RUNNING", "COMPLETED"):
        set_task_state(s, task, type_)
    task_history(s, task)


# SecureTaskConcurrencySlots, ReleaseTaskConcurrencySlots. On SQLite, Python Prefect locks itself out: it takes the
# slots in a second transaction while the first one holds the lock, and answers 503 after a minute.


@sequence(dialect="postgres")
def tag_limit(s: Script) -> None:
    """A tag's slots: taken by running tasks, waited for, given back."""
    of = limit(s, 1, name=f"tag:{s.name('tag')}")
    run = flow_run(s, state=state("RUNNING"))
    first, second = (
        task_run(s, run, dynamic_key=key, tags=[s.name("tag"), "free"], state=state("PENDING")) for key in "ab"
    )
    set_task_state(s, first, "RUNNING")
    slots(s, of)
    # How long to wait is drawn by lot.
    waits = ("body.details.delay_seconds",)
    s.post(f"/task_runs/{second['id']}/set_state", {"state": state("RUNNING")}, ignore=waits)
    s.get(f"/task_runs/{second['id']}")
    slots(s, of)
    set_task_state(s, first, "RUNNING")
    set_task_state(s, first, "COMPLETED")
    slots(s, of)
    set_task_state(s, second, "RUNNING")
    slots(s, of)
    set_task_state(s, second, "FAILED", force=True)
    slots(s, of)
    task_history(s, second)


@sequence(dialect="postgres")
def tag_limits_several(s: Script) -> None:
    """Two limited tags: both slots or none; an inactive limit is none."""
    one = limit(s, 1, name=f"tag:{s.name('one')}")
    two = limit(s, 2, name=f"tag:{s.name('two')}")
    off = limit(s, 1, name=f"tag:{s.name('off')}", active=False)
    run = flow_run(s, state=state("RUNNING"))
    tags = [s.name("one"), s.name("two"), s.name("off")]
    first = task_run(s, run, dynamic_key="a", tags=tags, state=state("PENDING"))
    second = task_run(s, run, dynamic_key="b", tags=tags, state=state("PENDING"))
    set_task_state(s, first, "RUNNING")
    s.post(
        f"/task_runs/{second['id']}/set_state",
        {"state": state("RUNNING")},
        ignore=("body.details.delay_seconds",),
    )
    for of in (one, two, off):
        slots(s, of)
    set_task_state(s, first, "CRASHED")
    for of in (one, two, off):
        slots(s, of)


@sequence(dialect="postgres")
def tag_limit_of_nothing(s: Script) -> None:
    """A limit of 0 aborts."""
    of = limit(s, 0, name=f"tag:{s.name('tag')}")
    task = task_run(s, tags=[s.name("tag")], state=state("PENDING"))
    set_task_state(s, task, "RUNNING")
    set_task_state(s, task, "RUNNING", force=True)
    slots(s, of)
    task_history(s, task)


@sequence(dialect="postgres")
def tag_limit_given_back(s: Script) -> None:
    """A later rule that stops the transition gives the slot back; cancelling keeps it."""
    of = limit(s, 1, name=f"tag:{s.name('tag')}")
    later = state("SCHEDULED", state_details={"scheduled_time": s.now(600)})
    task = task_run(s, tags=[s.name("tag")], state=later)
    set_task_state(s, task, "RUNNING")
    slots(s, of)
    set_task_state(s, task, "RUNNING", force=True)
    slots(s, of)
    other = task_run(s, dynamic_key="o", tags=[s.name("tag")], state=state("PENDING"))
    for type_ in ("RUNNING", "CANCELLING", "CANCELLED"):
        set_task_state(s, other, type_)
        slots(s, of)


@sequence
def tag_limit_of_old(s: Script) -> None:
    """Limits in the table of version 1, where there is none of version 2."""
    s.seed("concurrency_limit", tag=s.name("tag"), concurrency_limit=1, active_slots=[])
    s.seed("concurrency_limit", tag=s.name("zero"), concurrency_limit=0, active_slots=[])
    tasks = [task_run(s, dynamic_key=key, tags=[s.name("tag")], state=state("PENDING")) for key in "ab"]
    set_task_state(s, tasks[0], "RUNNING")
    set_task_state(s, tasks[1], "RUNNING")
    s.rows("concurrency_limit", columns=["active_slots"], tag=s.name("tag"))
    set_task_state(s, tasks[0], "COMPLETED")
    s.rows("concurrency_limit", columns=["active_slots"], tag=s.name("tag"))
    set_task_state(s, tasks[1], "RUNNING")
    s.rows("concurrency_limit", columns=["active_slots"], tag=s.name("tag"))
    zero = task_run(s, dynamic_key="z", tags=[s.name("zero")], state=state("PENDING"))
    set_task_state(s, zero, "RUNNING")


# CopyScheduledTime, WaitForScheduledTime, RetryFailedTasks, RenameReruns


@sequence
def scheduled_times(s: Script) -> None:
    """The scheduled time goes along to PENDING; RUNNING has to wait for it."""
    for seconds in (3600, 30.6, 0.2, -60):
        details = {"scheduled_time": s.now(seconds)}
        task = task_run(s, dynamic_key=f"{seconds}", state=state("SCHEDULED", state_details=details))
        set_task_state(s, task, "PENDING")
        set_task_state(s, task, "RUNNING")
        task_history(s, task)


@sequence
def retries(s: Script) -> None:
    """A failed task is scheduled again as often as its policy says, after its delays."""
    run = flow_run(s, state=state("RUNNING"))
    for number, policy in enumerate((
        {"retries": 1, "retry_delay": 0}, {"retries": 2, "retry_delay": [5, 10]}, {"retries": 3, "retry_delay": [7]},
        {"retries": 1}, {"retries": 0}, {"max_retries": 2, "retry_delay_seconds": 3.0}, {},
        {"retries": 1, "retry_delay": 0, "retry_jitter_factor": 1.0},
    )):  # fmt: skip
        task = task_run(s, run, dynamic_key=f"{number}", empirical_policy=policy, state=state("PENDING"))
        for _ in range(4):
            set_task_state(s, task, "RUNNING", force=True)
            set_task_state(s, task, "FAILED", message="no", data={"type": "reference", "n": 1})
            s.get(f"/task_runs/{task['id']}")
        task_history(s, task)


@sequence
def retries_do_not_fire(s: Script) -> None:
    """What is not retriable, forced, or no failure."""
    policy = {"retries": 3, "retry_delay": 0}
    for key, last, force, details in (
        ("a", "FAILED", False, {"retriable": False}), ("b", "FAILED", True, {}), ("c", "CRASHED", False, {}),
        ("d", "FAILED", False, {"retriable": True}),
    ):  # fmt: skip
        task = task_run(s, dynamic_key=key, empirical_policy=policy, state=state("RUNNING"))
        set_task_state(s, task, last, force=force, state_details=details)
        task_history(s, task)


@sequence
def renaming(s: Script) -> None:
    """A second run is called Retrying or Rerunning, whatever name it had."""
    policy = {"retries": 3, "retry_delay": 0}
    task = task_run(s, empirical_policy=policy, state=state("PENDING"))
    set_task_state(s, task, "RUNNING")
    set_task_state(s, task, "FAILED")
    set_task_state(s, task, "RUNNING", "Mine")
    set_task_state(s, task, "RUNNING", "Mine")
    set_task_state(s, task, "SCHEDULED", "AwaitingRetry")
    set_task_state(s, task, "RUNNING")
    task_history(s, task)


# BackgroundTaskPolicy


@sequence
def background(s: Script) -> None:
    """Deferred tasks: parameters are copied, pending is not set twice, limits don't count."""
    of = limit(s, 1, name=f"tag:{s.name('tag')}")
    details = {"deferred": True, "task_parameters_id": s.uuid("parameters"), "scheduled_time": s.now(-1)}
    task = task_run(s, tags=[s.name("tag")], state=state("SCHEDULED", state_details=details))
    for type_ in ("PENDING", "PENDING", "RUNNING", "PENDING", "FAILED", "SCHEDULED", "RUNNING", "COMPLETED"):
        set_task_state(s, task, type_, state_details={"deferred": True})
        slots(s, of)
    task_history(s, task)


@sequence
def background_forced(s: Script) -> None:
    """Force does not take a deferred transition out of the background policy."""
    task = task_run(s, state=state("RUNNING"))
    set_task_state(s, task, "PENDING", force=True, state_details={"deferred": True})
    set_task_state(s, task, "PENDING", force=True)
    task_history(s, task)


@sequence(independent=True)
def bad_proposals(s: Script) -> None:
    """Bodies that propose nothing, or something that is no state."""
    task = task_run(s)
    path = f"/task_runs/{task['id']}/set_state"
    for body in (None, [], {}, "x", 1, {"state": None}, {"state": []}, {"type": "RUNNING"}, {"state": {"type": "x"}}):
        s.post(path, body)
    s.post(path)
    for field in ("type", "name", "message", "data", "state_details", "id", "timestamp", "unknown"):
        for value in (None, "", "x", 1, 1.5, True, [], {}, ["x"], {"a": 1}):
            s.post(path, {"state": {"type": "RUNNING", field: value}})
    for force in (None, "true", "x", 1, 2, [], {}):
        s.post(path, {"state": {"type": "RUNNING"}, "force": force})
    s.post(f"/task_runs/{s.uuid()}/set_state", {"state": {"type": "RUNNING"}})
    s.post(f"/task_runs/{s.uuid()}/set_state", {"state": {"type": "RUNNING"}, "force": True})


@sequence
def no_expected_start_time(s: Script) -> None:
    """A task run that has lost the time at which it was expected to start gets one with its next state."""
    for type_ in ("PENDING", "RUNNING", "COMPLETED", "SCHEDULED"):
        task = task_run(s, dynamic_key=type_)
        s.update("task_run", {"id": task["id"]}, expected_start_time=None)
        details = {"state_details": {"scheduled_time": s.now(600)}} if type_ == "SCHEDULED" else {}
        set_task_state(s, task, type_, **details)
        task_history(s, task)


@sequence
def tag_limit_of_old_forced(s: Script) -> None:
    """A run that is forced to its end gives back its slot of a limit of version 1."""
    s.seed("concurrency_limit", tag=s.name("tag"), concurrency_limit=1, active_slots=[])
    tasks = [task_run(s, dynamic_key=key, tags=[s.name("tag")], state=state("PENDING")) for key in "ab"]
    for task in tasks:
        set_task_state(s, task, "RUNNING")
        set_task_state(s, task, "FAILED", force=True)
        s.rows("concurrency_limit", columns=["active_slots"], tag=s.name("tag"))
