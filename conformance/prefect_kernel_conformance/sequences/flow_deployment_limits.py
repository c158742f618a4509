"""Rules of the flow policies about the concurrency limits of deployments."""

from __future__ import annotations

from ..script import Ref, Script, sequence
from ._make import (
    deployment,
    flow,
    flow_run,
    history,
    limited_deployment,
    propose,
    set_state,
    slots,
    state,
    walk,
)  # fmt: skip

GROUP = "flow_policies"
NEW = {"User-Agent": "prefect/3.8.8 (API 0.8.4)"}
LEASES = {"User-Agent": "prefect/3.4.11 (API 0.8.4)"}
OLD = {"User-Agent": "prefect/3.4.10 (API 0.8.4)"}


def _to(s: Script, run: Ref, type_: str, name: str | None = None, *, headers: dict[str, str] = NEW) -> Ref:
    return propose(s, f"/flow_runs/{run['id']}/set_state", state(type_, name), None, headers=headers)


def _scheduled(s: Script, parent: Ref, made: Ref) -> Ref:
    return flow_run(s, parent, deployment_id=made["id"], state=state("SCHEDULED"))


@sequence
def slot_taken_and_released(s: Script) -> None:
    """Pending takes a slot, running keeps it, the end releases it."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 2)
    run = _scheduled(s, parent, made)
    slots(s, of)
    for type_ in ("PENDING", "RUNNING", "COMPLETED"):
        _to(s, run, type_)
        slots(s, of)
    history(s, run)


@sequence
def slot_refused_and_enqueued(s: Script) -> None:
    """When all slots are taken, the next run waits; when one is free again, it goes on."""
    parent = flow(s)
    for strategy in (None, "ENQUEUE"):
        made, of = limited_deployment(s, parent, 1, strategy)
        first, second = _scheduled(s, parent, made), _scheduled(s, parent, made)
        _to(s, first, "PENDING")
        _to(s, second, "PENDING")
        history(s, second)
        slots(s, of)
        _to(s, second, "PENDING", "Submitting")
        _to(s, first, "RUNNING")
        _to(s, first, "FAILED")
        _to(s, second, "PENDING")
        _to(s, second, "RUNNING")
        slots(s, of)
        history(s, second)


@sequence
def slot_refused_and_cancelled(s: Script) -> None:
    """With CANCEL_NEW a run without a slot is cancelled."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 1, "CANCEL_NEW")
    first, second = _scheduled(s, parent, made), _scheduled(s, parent, made)
    _to(s, first, "PENDING")
    _to(s, second, "PENDING")
    history(s, second)
    slots(s, of)


@sequence
def no_slots_at_all(s: Script) -> None:
    """A limit of nothing aborts."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 0)
    run = _scheduled(s, parent, made)
    _to(s, run, "PENDING")
    history(s, run)
    slots(s, of)


@sequence
def no_limit_or_no_deployment(s: Script) -> None:
    """Deployments without a limit, limits that are off, deployments that are gone."""
    parent = flow(s)
    run = _scheduled(s, parent, deployment(s, parent))
    for type_ in ("PENDING", "RUNNING", "COMPLETED"):
        _to(s, run, type_)
    history(s, run)
    made, of = limited_deployment(s, parent, 1)
    s.update("concurrency_limit_v2", {"id": of["id"]}, active=False)
    run = _scheduled(s, parent, made)
    _to(s, run, "PENDING")
    slots(s, of)
    run = flow_run(s, parent, deployment_id=s.uuid("gone"), state=state("SCHEDULED"))
    _to(s, run, "PENDING")
    history(s, run)


@sequence
def transitions_that_take_none(s: Script) -> None:
    """From RUNNING, PENDING and CANCELLING nothing is taken."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 3)
    for first in ("RUNNING", "CANCELLING", "PENDING", "PAUSED", "FAILED"):
        run = flow_run(s, parent, deployment_id=made["id"], state=state(first))
        slots(s, of)
        _to(s, run, "PENDING", "Other")
        slots(s, of)


@sequence
def straight_to_running(s: Script) -> None:
    """Without PENDING nothing is taken."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 3)
    run = _scheduled(s, parent, made)
    _to(s, run, "RUNNING")
    slots(s, of)
    _to(s, run, "COMPLETED")
    slots(s, of)


@sequence
def slots_of_others(s: Script) -> None:
    """A run that holds no slot ends, while another one holds one."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 3)
    _to(s, _scheduled(s, parent, made), "PENDING")
    run = _scheduled(s, parent, made)
    _to(s, run, "RUNNING")
    slots(s, of)
    _to(s, run, "COMPLETED")
    slots(s, of)


@sequence
def another_rule_is_first(s: Script) -> None:
    """A duplicate transition takes no slot, and a later abort gives it back."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 1)
    details = {"transition_id": s.uuid("one")}
    run = flow_run(s, parent, deployment_id=made["id"], state=state("SCHEDULED", state_details=details))
    set_state(s, run, "PENDING", state_details=details)
    slots(s, of)
    paused = flow_run(s, parent, deployment_id=made["id"], state=state("PAUSED"))
    _to(s, paused, "PENDING")
    slots(s, of)
    history(s, paused)


@sequence
def forced_transitions_and_slots(s: Script) -> None:
    """Force takes no slot, but releases one."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 1)
    run = _scheduled(s, parent, made)
    set_state(s, run, "PENDING", force=True)
    slots(s, of)
    set_state(s, run, "SCHEDULED", force=True)
    slots(s, of)
    _to(s, run, "PENDING")
    slots(s, of)
    set_state(s, run, "CANCELLED", force=True)
    slots(s, of)
    history(s, run)


@sequence
def leaving_by_each_way(s: Script) -> None:
    """From pending, running and cancelling to everything: when the slot is given back."""
    parent = flow(s)
    for middle in ((), ("RUNNING",), ("RUNNING", "CANCELLING")):
        for last in ("SCHEDULED", "PAUSED", "COMPLETED", "CANCELLED", "CRASHED", "CANCELLING"):
            made, of = limited_deployment(s, parent, 1)
            run = _scheduled(s, parent, made)
            for type_ in ("PENDING", *middle, last):
                _to(s, run, type_)
            slots(s, of)
            s.get(f"/flow_runs/{run['id']}")


@sequence
def retry_keeps_the_slot(s: Script) -> None:
    """A retry in the same process keeps its slot, a run that awaits its retry by its own will does not."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 1)
    policy = {"retries": 1, "retry_delay": 0}
    run = flow_run(s, parent, deployment_id=made["id"], state=state("SCHEDULED"), empirical_policy=policy)
    for type_ in ("PENDING", "RUNNING", "FAILED", "RUNNING", "FAILED"):
        _to(s, run, type_)
        slots(s, of)
    history(s, run)
    run = _scheduled(s, parent, made)
    for type_, name in (("PENDING", None), ("RUNNING", None), ("SCHEDULED", "AwaitingRetry")):
        _to(s, run, type_, name)
        slots(s, of)
    history(s, run)


@sequence
def clients_without_leases(s: Script) -> None:
    """Clients before 3.4.11, and those that do not say what they are, lose the lease but not the slot."""
    parent = flow(s)
    for headers in (OLD, LEASES, NEW, {}, {"User-Agent": "curl/8"}, {"User-Agent": "prefect/x"}):
        made, of = limited_deployment(s, parent, 1)
        run = _scheduled(s, parent, made)
        for type_ in ("PENDING", "RUNNING", "COMPLETED"):
            _to(s, run, type_, headers=headers)
            slots(s, of)
        history(s, run)


@sequence
def clients_that_take_no_slot(s: Script) -> None:
    """3.0.0 to 3.0.3 had limits of their own."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 5)
    for version in ("3.0.0rc20", "3.0.0", "3.0.1", "3.0.2", "3.0.3", "3.0.4"):
        run = _scheduled(s, parent, made)
        _to(s, run, "PENDING", headers={"User-Agent": f"prefect/{version} (API 0.8.4)"})
        slots(s, of)
        history(s, run)


@sequence
def lease_that_is_unknown(s: Script) -> None:
    """A lease that no storage knows: the slot is taken anew, or the run is cancelled when there is none."""
    parent = flow(s)
    for taken in (0, 1):
        made, of = limited_deployment(s, parent, 1)
        s.update("concurrency_limit_v2", {"id": of["id"]}, active_slots=taken)
        details = {"deployment_concurrency_lease_id": s.uuid("lease")}
        run = flow_run(s, parent, deployment_id=made["id"], state=state("PENDING", state_details=details))
        _to(s, run, "RUNNING")
        slots(s, of)
        history(s, run)


@sequence
def lease_goes_along(s: Script) -> None:
    """The lease of a state is that of the next one, unless that brings its own."""
    parent = flow(s)
    run = flow_run(s, parent, state=state("RUNNING", state_details={"deployment_concurrency_lease_id": s.uuid("a")}))
    walk(s, run, "CANCELLING", "CANCELLED")
    history(s, run)
    run = flow_run(s, parent, state=state("RUNNING", state_details={"deployment_concurrency_lease_id": s.uuid("a")}))
    set_state(s, run, "FAILED", state_details={"deployment_concurrency_lease_id": s.uuid("b")})
    history(s, run)
    pending = flow_run(
        s, parent, state=state("PENDING", state_details={"deployment_concurrency_lease_id": s.uuid("a")})
    )
    set_state(s, pending, "PENDING", "Submitting", state_details={"deployment_concurrency_lease_id": s.uuid("b")})
    set_state(s, pending, "RUNNING", state_details={"deployment_concurrency_lease_id": s.uuid("c")})
    history(s, pending)


@sequence
def grace_period(s: Script) -> None:
    """A deployment may say how long its leases last."""
    parent = flow(s)
    made, of = limited_deployment(s, parent, 1)
    options = {"collision_strategy": "ENQUEUE", "grace_period_seconds": 600}
    s.update("deployment", {"id": made["id"]}, concurrency_options=options)
    run = _scheduled(s, parent, made)
    for type_ in ("PENDING", "RUNNING", "COMPLETED"):
        _to(s, run, type_)
        slots(s, of)
    history(s, run)


@sequence
def runs_of_deployments(s: Script) -> None:
    """With a deployment, ended runs may be scheduled again and paused ones suspended."""
    parent = flow(s)
    made = deployment(s, parent)
    for type_ in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED"):
        run = flow_run(s, parent, deployment_id=made["id"], state=state(type_))
        set_state(s, run, "SCHEDULED", "AwaitingRetry")
        history(s, run)
        set_state(s, run, "RUNNING")
        history(s, run)
    run = flow_run(s, parent, deployment_id=made["id"], state=state("RUNNING"))
    details = {"pause_reschedule": True, "pause_timeout": s.now(300), "pause_key": "k"}
    set_state(s, run, "PAUSED", "Suspended", state_details=details)
    s.post(f"/flow_runs/{run['id']}/resume")
    history(s, run)
    set_state(s, run, "CANCELLING")
    history(s, run)
