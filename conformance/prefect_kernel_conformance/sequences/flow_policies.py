"""Rules of the flow policies without deployments: each firing, not firing, and with another one first."""

from __future__ import annotations

from collections.abc import Callable

from ..script import Script, sequence
from ._make import flow_run, flow_run_in, history, propose, set_state, state, task_run, walk

TYPES = ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING")
TERMINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
PERSISTED = {"type": "reference", "storage_key": "k"}
UNPERSISTED = {"type": "unpersisted"}


def _matrix(initial: str, *, force: bool) -> Callable[[Script], None]:
    def play(s: Script) -> None:
        for type_ in TYPES:
            run = flow_run(s, state=state(initial))
            set_state(s, run, type_, force=force)
            history(s, run)

    play.__doc__ = f"From {initial} to each type{', forced' if force else ''}."
    play.__name__ = f"from_{initial.lower()}{'_forced' if force else ''}"
    return play


for _initial in TYPES:
    sequence(_matrix(_initial, force=False))
    sequence(_matrix(_initial, force=True))


@sequence
def life(s: Script) -> None:
    """Pending, running, completed: what nearly every run does."""
    run = flow_run(s)
    walk(s, run, "RUNNING", "COMPLETED")
    history(s, run)
    s.rows("flow_run_state", order_by="timestamp", flow_run_id=run["id"])


@sequence
def names_and_messages(s: Script) -> None:
    """A state without a name gets its type's; messages and details are kept."""
    run = flow_run(s)
    set_state(s, run, "RUNNING", "Mine", message="hä", data={"a": 1}, state_details={"cache_key": "k"})
    set_state(s, run, "RUNNING", "Other", message="")
    set_state(s, run, "FAILED", message="x" * 5000, data=None)
    history(s, run)
    set_state(s, run, "CRASHED", "")
    set_state(s, run, "COMPLETED", data=PERSISTED, force=True)
    history(s, run)


@sequence
def details(s: Script) -> None:
    """All state details a client may give."""
    run = flow_run(s)
    given = {
        "flow_run_id": s.uuid("other run"), "task_run_id": s.uuid("task"), "child_flow_run_id": s.uuid("child"),
        "scheduled_time": s.now(-5), "cache_key": "k", "cache_expiration": s.now(60), "deferred": False,
        "untrackable_result": True, "pause_timeout": s.now(60), "pause_reschedule": True, "pause_key": "p",
        "run_input_keyset": {"a": "b"}, "refresh_cache": True, "retriable": False,
        "transition_id": s.uuid("transition"),
        "task_parameters_id": s.uuid("parameters"), "traceparent": "00-x", "deployment_concurrency_lease_id": None,
    }  # fmt: skip
    set_state(s, run, "RUNNING", state_details=given)
    history(s, run)


# PreventDuplicateTransitions


@sequence
def duplicate_transition_fires(s: Script) -> None:
    """The same transition id twice in a row: the second is refused."""
    run = flow_run(s)
    for _ in range(2):
        set_state(s, run, "RUNNING", state_details={"transition_id": s.uuid("one")})
    history(s, run)


@sequence
def duplicate_transition_does_not_fire(s: Script) -> None:
    """Other ids, none, and the same id with another transition between."""
    run = flow_run(s, state=state("RUNNING", state_details={"transition_id": s.uuid("one")}))
    set_state(s, run, "RUNNING", state_details={"transition_id": s.uuid("two")})
    set_state(s, run, "RUNNING", state_details={"transition_id": s.uuid("one")})
    set_state(s, run, "RUNNING")
    set_state(s, run, "RUNNING", state_details={"transition_id": None})
    set_state(s, run, "RUNNING", state_details={"transition_id": s.uuid("one")}, force=True)
    set_state(s, run, "RUNNING", state_details={"transition_id": s.uuid("one")}, force=True)
    history(s, run)


@sequence
def duplicate_transition_is_first(s: Script) -> None:
    """It comes before the rule about terminal states."""
    run = flow_run_in(s, "COMPLETED", data=PERSISTED, state_details={"transition_id": s.uuid("one")})
    set_state(s, run, "RUNNING", state_details={"transition_id": s.uuid("one")})
    set_state(s, run, "PAUSED", state_details={"transition_id": s.uuid("one")})
    history(s, run)


# HandleFlowTerminalStateTransitions, PreventResultDataLoss


def _terminal(initial: str, data: object) -> Callable[[Script], None]:
    def play(s: Script) -> None:
        for type_ in TYPES:
            for new in ({}, {"data": PERSISTED}, {"data": UNPERSISTED}):
                run = flow_run_in(s, initial, data=data)
                set_state(s, run, type_, **new)
                s.get(f"/flow_runs/{run['id']}")

    kind = "none" if data is None else str(data["type"]) if isinstance(data, dict) and "type" in data else "other"
    play.__doc__ = f"From {initial} with {kind} result to each type, with and without a result."
    play.__name__ = f"terminal_{initial.lower()}_{kind}"
    return play


for _initial in ("COMPLETED", "FAILED"):
    for _data in (None, PERSISTED, UNPERSISTED, {"k": 1}):
        sequence(_terminal(_initial, _data))


@sequence
def result_is_not_lost_by_force(s: Script) -> None:
    """PreventResultDataLoss: not even a forced transition drops a persisted result."""
    for data in (PERSISTED, UNPERSISTED, None, 5, [1]):
        for type_ in TERMINAL:
            for new in ({}, {"data": UNPERSISTED}, {"data": PERSISTED}, {"data": 7}):
                run = flow_run_in(s, "COMPLETED", data=data)
                set_state(s, run, type_, force=True, **new)
    history(s, run)


@sequence
def terminal_to_running_again(s: Script) -> None:
    """A run that ended may start again: times, counts and policy are set back."""
    for type_ in ("FAILED", "CRASHED", "CANCELLED", "COMPLETED"):
        run = flow_run(s, empirical_policy={"pause_keys": ["k"], "resuming": True, "retry_type": "in_process"})
        walk(s, run, "RUNNING", type_)
        s.get(f"/flow_runs/{run['id']}")
        set_state(s, run, "RUNNING")
        history(s, run)


@sequence
def terminal_and_old_api_versions(s: Script) -> None:
    """What clients of older API versions get."""
    for version in ("0.8.0", "0.8.3", "0.8.4", "1.0.0"):
        run = flow_run(s, empirical_policy={"pause_keys": ["k"], "resuming": True})
        walk(s, run, "RUNNING", "FAILED")
        headers = {"X-PREFECT-API-VERSION": version}
        for type_ in ("PENDING", "RUNNING", "COMPLETED"):
            propose(s, f"/flow_runs/{run['id']}/set_state", state(type_), None, headers=headers)
        history(s, run)


# EnforceCancellingToCancelledTransition, BypassCancellingFlowRunsWithNoInfra


@sequence
def cancelling_fires(s: Script) -> None:
    """A cancelling run can only be cancelled."""
    run = flow_run(s)
    walk(s, run, "RUNNING", "CANCELLING", "RUNNING", "PAUSED", "COMPLETED", "CANCELLING", "CANCELLED")
    history(s, run)


@sequence
def cancelling_without_infrastructure(s: Script) -> None:
    """Nothing to stop: a scheduled run without a process, a suspended one, one that resumes."""
    later = {"scheduled_time": s.now(3600)}
    for pid in (None, "host:1"):
        run = flow_run(s, state=state("SCHEDULED", state_details=later))
        if pid:
            s.patch(f"/flow_runs/{run['id']}", {"infrastructure_pid": pid})
        set_state(s, run, "CANCELLING", message="stop", state_details={"cache_key": "x"})
        history(s, run)
    for first in (
        state("SCHEDULED", "Resuming", state_details=later),
        state("PAUSED", state_details={"pause_reschedule": True}),
        state("PAUSED", state_details={"pause_reschedule": False}),
        state("PAUSED", "Suspended"),
    ):
        for force in (False, True):
            run = flow_run(s, state=first)
            s.patch(f"/flow_runs/{run['id']}", {"infrastructure_pid": "host:1"})
            set_state(s, run, "CANCELLING", force=force)
            history(s, run)


# PreventPendingTransitions


@sequence
def pending_twice(s: Script) -> None:
    """A pending run may only get another name."""
    later = s.now(120)
    for name in (None, "Pending", "Submitting", "InfrastructurePending", "Mine"):
        run = flow_run(s, state=state("SCHEDULED", state_details={"scheduled_time": later}))
        set_state(s, run, "PENDING")
        set_state(s, run, "PENDING", name)
        set_state(s, run, "PENDING", name)
        set_state(s, run, "PENDING", "Pending")
        history(s, run)


@sequence
def pending_from_elsewhere(s: Script) -> None:
    """Running, cancelling and cancelled runs don't become pending; failed ones do."""
    for type_ in ("RUNNING", "CANCELLING", "CANCELLED", "FAILED", "CRASHED", "COMPLETED", "PAUSED"):
        run = flow_run(s, state=state(type_))
        set_state(s, run, "PENDING", "Submitting")
        set_state(s, run, "PENDING", "Submitting", force=True)
        history(s, run)


# EnsureOnlyScheduledFlowsMarkedLate


@sequence
def late(s: Script) -> None:
    """Only scheduled runs become late, and only once."""
    run = flow_run(s, state=state("SCHEDULED", state_details={"scheduled_time": s.now(-60)}))
    set_state(s, run, "SCHEDULED", "Late")
    set_state(s, run, "SCHEDULED", "Late")
    set_state(s, run, "SCHEDULED", "late")
    history(s, run)
    for type_ in ("PENDING", "RUNNING", "FAILED", "PAUSED", "CANCELLING"):
        run = flow_run(s, state=state(type_))
        set_state(s, run, "SCHEDULED", "Late")
        history(s, run)


# CopyScheduledTime, WaitForScheduledTime


@sequence
def scheduled_times(s: Script) -> None:
    """The scheduled time goes along to PENDING; RUNNING has to wait for it."""
    for seconds in (3600, 30.6, 2.2, 0.2, -1, -3600):
        run = flow_run(s, state=state("SCHEDULED", state_details={"scheduled_time": s.now(seconds)}))
        set_state(s, run, "PENDING")
        set_state(s, run, "RUNNING")
        history(s, run)
    run = flow_run(s, state=state("SCHEDULED", state_details={"scheduled_time": s.now(50)}))
    set_state(s, run, "RUNNING")
    set_state(s, run, "PENDING", state_details={"scheduled_time": s.now(-50)})
    set_state(s, run, "RUNNING")
    history(s, run)


@sequence
def waiting_does_not_come_first(s: Script) -> None:
    """Duplicates are refused before waiting; force does not wait."""
    details = {"scheduled_time": s.now(60), "transition_id": s.uuid("one")}
    run = flow_run(s, state=state("SCHEDULED", state_details=details))
    set_state(s, run, "RUNNING", state_details={"transition_id": s.uuid("one")})
    set_state(s, run, "RUNNING", force=True)
    history(s, run)


@sequence
def reschedule(s: Script) -> None:
    """From scheduled to scheduled, and what becomes of the expected times."""
    run = flow_run(s, state=state("SCHEDULED", state_details={"scheduled_time": s.now(60)}))
    set_state(s, run, "SCHEDULED", state_details={"scheduled_time": s.now(120)})
    s.get(f"/flow_runs/{run['id']}")
    set_state(s, run, "SCHEDULED", "AwaitingRetry")
    s.get(f"/flow_runs/{run['id']}")
    set_state(s, run, "CANCELLED")
    history(s, run)
    set_state(s, run, "SCHEDULED")
    history(s, run)


# RetryFailedFlows


@sequence
def retries(s: Script) -> None:
    """A failed run is scheduled again as often as its policy says."""
    for policy in (
        {"retries": 2, "retry_delay": 0}, {"retries": 1, "retry_delay": 60}, {"retries": 1}, {"retries": 0},
        {"max_retries": 2, "retry_delay_seconds": 5}, {"retries": 1, "retry_type": "reschedule"},
        {"retries": 1, "pause_keys": ["a"], "resuming": True},
    ):  # fmt: skip
        run = flow_run(s, empirical_policy=policy)
        for _ in range(3):
            set_state(s, run, "RUNNING")
            set_state(s, run, "FAILED", message="no", data={"type": "reference", "n": 1})
            s.get(f"/flow_runs/{run['id']}")
        history(s, run)


@sequence
def retries_do_not_fire(s: Script) -> None:
    """Crashes are not retried, nor what is forced, nor failures of what never ran."""
    policy = {"retries": 3, "retry_delay": 0}
    for first, second, force in (
        ("RUNNING", "CRASHED", False), ("RUNNING", "FAILED", True), ("PENDING", "FAILED", False),
        ("RUNNING", "COMPLETED", False), ("PAUSED", "FAILED", False), ("CANCELLING", "FAILED", False),
    ):  # fmt: skip
        run = flow_run(s, empirical_policy=policy, state=state(first))
        set_state(s, run, second, force=force)
        history(s, run)


@sequence
def retries_of_older_clients(s: Script) -> None:
    """Clients before API version 0.8.3 want the failed task runs reset."""
    for version in ("0.8.0", "0.8.2", "0.8.3", "0.8.4"):
        run = flow_run(s, empirical_policy={"retries": 1, "retry_delay": 5, "pause_keys": ["k"], "resuming": True})
        set_state(s, run, "RUNNING")
        failed = task_run(s, run, dynamic_key="failed", state=state("FAILED"))
        done = task_run(s, run, dynamic_key="done", state=state("COMPLETED"))
        path = f"/flow_runs/{run['id']}/set_state"
        propose(s, path, state("FAILED", message="x"), None, headers={"X-PREFECT-API-VERSION": version})
        history(s, run)
        for task in (failed, done):
            s.get(f"/task_runs/{task['id']}")


# Bad proposals


@sequence(independent=True)
def bad_proposals(s: Script) -> None:
    """Bodies that propose nothing, or something that is no state."""
    run = flow_run(s)
    path = f"/flow_runs/{run['id']}/set_state"
    for body in (
        None, [], {}, "x", 1, {"state": None}, {"state": []}, {"state": "RUNNING"}, {"type": "RUNNING"},
        {"force": True}, {"state": {}}, {"state": {"type": None}}, {"state": {"type": "running"}},
    ):  # fmt: skip
        s.post(path, body)
    s.post(path)
    values = (None, "", "x", 1, 1.5, True, [], {}, ["x"], {"a": 1}, "2026-01-01T00:00:00Z")
    for field in ("type", "name", "message", "data", "state_details", "id", "timestamp", "unknown"):
        for value in values:
            s.post(path, {"state": {"type": "RUNNING", field: value}})
    for field in ("flow_run_id", "task_run_id", "child_flow_run_id", "scheduled_time", "cache_key", "cache_expiration",
                  "deferred", "untrackable_result", "pause_timeout", "pause_reschedule", "pause_key",
                  "run_input_keyset", "refresh_cache", "retriable", "transition_id", "task_parameters_id",
                  "traceparent", "deployment_concurrency_lease_id", "unknown"):  # fmt: skip
        for value in values:
            s.post(path, {"state": {"type": "RUNNING", "state_details": {field: value}}})
    for force in (None, "true", "x", 1, 2, [], {}):
        s.post(path, {"state": {"type": "RUNNING"}, "force": force})
    s.post(path, {"state": {"type": "RUNNING"}, "unknown": 1})
    s.post(f"/flow_runs/{s.uuid()}/set_state", {"state": {"type": "RUNNING"}})
    s.post(f"/flow_runs/{s.uuid()}/set_state", {"state": {"type": "RUNNING"}, "force": True})


@sequence
def race(s: Script) -> None:
    """Eight clients make the same transition: one is accepted."""
    run = flow_run(s)
    body = {"state": state("PENDING", "Submitting")}
    set_state(s, run, "PENDING", "First")
    s.race(*[("POST", f"/flow_runs/{run['id']}/set_state", body) for _ in range(4)])
    s.get(f"/flow_runs/{run['id']}", ignore=("body.state", "body.state_id"))


@sequence
def no_expected_start_time(s: Script) -> None:
    """A run that has lost the time at which it was expected to start gets one with its next state."""
    for type_ in ("PENDING", "RUNNING", "COMPLETED", "SCHEDULED"):
        run = flow_run(s)
        s.update("flow_run", {"id": run["id"]}, expected_start_time=None)
        details = {"state_details": {"scheduled_time": s.now(600)}} if type_ == "SCHEDULED" else {}
        set_state(s, run, type_, **details)
        history(s, run)
