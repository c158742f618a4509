"""Work queues by their ids, as agents use them."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._bad_input import OTHERS_ROWS, bad_bodies, bad_fields, bad_ids, filter_bodies, paging, wrong_methods
from ._make import flow, set_state
from .work_pools import QUEUE_FIELDS, QUEUE_FILTER, _scheduled, pool

SINCE = ("body.flow_runs[].time_in_current_state",)
"""Depends on how fast the server is."""


def queue(s: Script, name: str = "queue", **more: Any) -> Ref:
    """A queue in the pool of agents."""
    return s.post("/work_queues/", {"name": s.name(name), **more})


@sequence
def create_and_read(s: Script) -> None:
    """Queues are made in the pool of agents, which is made with the first of them."""
    made = queue(s, description="d", concurrency_limit=2)
    s.get(f"/work_queues/{made['id']}")
    s.get(f"/work_queues/name/{s.name('queue')}")
    s.get(f"/work_queues/{made['id']}/status")
    queue(s)
    s.get(f"/work_queues/name/{s.name('nobody')}")
    for path in ("", "/status"):
        s.get(f"/work_queues/{s.uuid()}{path}")
    for path in ("/get_runs", "/concurrency_status"):
        s.post(f"/work_queues/{s.uuid('none')}{path}", {})
    s.patch(f"/work_queues/{s.uuid()}", {})
    s.delete(f"/work_queues/{s.uuid()}")
    s.delete(f"/work_queues/{made['id']}")
    s.delete(f"/work_queues/{made['id']}")
    s.get(f"/work_queues/{made['id']}")


@sequence
def update(s: Script) -> None:
    """Members can be changed; other queues keep their priorities."""
    path = pool(s)
    s.post(f"{path}/queues", {"name": "other"})
    made = s.post(f"{path}/queues", {"name": "mine"})
    for body in (
        {"description": "x"}, {"priority": 1}, {"priority": 2}, {"concurrency_limit": 1}, {"concurrency_limit": None},
        {"is_paused": True}, {"is_paused": True}, {"is_paused": False}, {"is_paused": False},
        {"is_paused": True, "last_polled": s.now()}, {"is_paused": False}, {"name": "other"}, {"name": None},
        {"filter": {"tags": ["a"]}}, {"filter": None}, {}, {"name": "new"},
    ):  # fmt: skip
        s.patch(f"/work_queues/{made['id']}", body)
        s.get(f"/work_queues/{made['id']}")
        s.post(f"{path}/queues/filter", {})
    default = s.get(f"{path}/queues/default")
    s.delete(f"/work_queues/{default['id']}")
    s.delete(f"/work_queues/{made['id']}")


@sequence
def runs(s: Script) -> None:
    """An agent gets the runs of a queue by time, within its limit."""
    path = pool(s)
    name = s.name("queue")
    made = s.post(f"{path}/queues", {"name": name})
    get = f"/work_queues/{made['id']}/get_runs"
    s.post(get, {}, headers={"x-prefect-ui": "true"})
    s.get(f"/work_queues/{made['id']}")
    of = flow(s)
    scheduled = [_scheduled(s, of, path, name, at) for at in (-10, -30, 400, -20)]
    for body in ({}, {"limit": 2}, {"limit": 0}, {"scheduled_before": s.now()}, {"scheduled_before": s.now(-15)}):
        s.post(get, body)
    s.get(f"/work_queues/{made['id']}")
    s.get(f"/work_queues/{made['id']}/status")
    for header in ("1", "yes", "false", "x", ""):
        s.post(get, {}, headers={"x-prefect-ui": header})
    s.patch(f"/work_queues/{made['id']}", {"concurrency_limit": 2})
    s.post(get, {})
    for type_ in ("PENDING", "RUNNING", "CANCELLING"):
        set_state(s, scheduled[0], type_)
        s.post(get, {})
        s.get(f"/work_queues/{made['id']}")
        s.get(f"{path}/queues/{name}")
        s.post(f"/work_queues/{made['id']}/concurrency_status", {}, ignore=SINCE)
    set_state(s, scheduled[1], "SCHEDULED", "Late", state_details={"scheduled_time": s.now(-30)})
    s.get(f"/work_queues/{made['id']}/status")
    s.patch(f"/work_queues/{made['id']}", {"is_paused": True})
    s.post(get, {})
    for body in ({"page": 2}, {"limit": 1}, {"limit": 0}, {"page": 3, "limit": 1}):
        s.post(f"/work_queues/{made['id']}/concurrency_status", body, ignore=SINCE)


@sequence
def runs_by_filter(s: Script) -> None:
    """Old queues take the runs that fit their filter."""
    of = flow(s)
    tag = s.name("tag")
    deployment = s.seed(
        "deployment", name=s.name("d"), flow_id=of["id"], tags=[], parameters={}, paused=False,
        parameter_openapi_schema={}, infra_overrides={}, labels={}, enforce_parameter_schema=False, status="NOT_READY",
    )  # fmt: skip
    path = pool(s)
    made = s.post(f"{path}/queues", {"name": s.name("old"), "filter": {"tags": [tag]}, "concurrency_limit": 2})
    get = f"/work_queues/{made['id']}/get_runs"
    scheduled = [
        _scheduled(s, of, path, "default", at, tags=[tag, "x"], deployment_id=deployment["id"]) for at in (-5, -9, -7)
    ]
    _scheduled(s, of, path, "default", -8, tags=["x"], deployment_id=deployment["id"])
    _scheduled(s, of, path, "default", -6, tags=[tag])
    for body in ({}, {"limit": 1}, {"scheduled_before": s.now(-6)}):
        s.post(get, body)
    set_state(s, scheduled[0], "PENDING")
    s.post(get, {})
    s.get(f"/work_queues/{made['id']}")
    s.post("/work_queues/filter", {"work_queues": {"id": {"any_": [made["id"]]}}})
    s.patch(f"/work_queues/{made['id']}", {"is_paused": True})
    s.post(get, {})
    s.post(f"/work_queues/{made['id']}/concurrency_status", {}, ignore=SINCE)
    ids = {"deployment_ids": [deployment["id"]]}
    other = s.post(f"{path}/queues", {"name": s.name("ids"), "filter": ids})
    s.post(f"/work_queues/{other['id']}/get_runs", {})


@sequence(independent=True)
def bad_queues(s: Script) -> None:
    """Bodies and fields that are no queue."""
    made = queue(s)
    bad_bodies(s, "POST", "/work_queues/", {"name": s.name("x")})
    bad_fields(s, "POST", "/work_queues/", {"name": s.name("good")}, QUEUE_FIELDS)
    path = f"/work_queues/{made['id']}"
    bad_bodies(s, "PATCH", path, {"description": "x"})
    bad_fields(s, "PATCH", path, {"description": "x"}, (*QUEUE_FIELDS[1:], "last_polled"))
    for name in (None, 1, True, [], s.name("new")):
        s.patch(path, {"name": name})
    bad_bodies(s, "POST", f"{path}/get_runs", {})
    bad_fields(s, "POST", f"{path}/get_runs", {}, ("limit", "scheduled_before"))
    bad_fields(s, "POST", f"{path}/concurrency_status", {}, ("limit", "page"))


@sequence(independent=True)
def queries(s: Script) -> None:
    """Filters, limits, ids that are none, and methods that are not there."""
    made = queue(s)
    mine = {"name": {"any_": [s.name("queue")]}}
    for body in filter_bodies(QUEUE_FILTER):
        both = {**mine, **body} if "name" not in body else {"id": {"any_": [made["id"]]}, **body}
        s.post("/work_queues/filter", {"work_queues": both})
    bad_fields(s, "POST", "/work_queues/filter", {"work_queues": mine}, ("work_queues",), ignore=OTHERS_ROWS)
    paging(s, "/work_queues/filter", {"work_queues": mine})
    for method, rest, body in (("GET", "", None), ("PATCH", "", {}), ("DELETE", "", None), ("GET", "/status", None),
                               ("POST", "/get_runs", {}), ("POST", "/concurrency_status", {})):  # fmt: skip
        bad_ids(s, method, "/work_queues/{id}" + rest, body)
    for where, allowed in (
        ("/work_queues/", ("POST",)), ("/work_queues/filter", ("POST",)), ("/work_queues/name/x", ("GET",)),
        (f"/work_queues/{made['id']}", ("GET", "PATCH", "DELETE")), (f"/work_queues/{made['id']}/get_runs", ("POST",)),
        (f"/work_queues/{made['id']}/status", ("GET",)),
        (f"/work_queues/{made['id']}/concurrency_status", ("POST",)),
    ):  # fmt: skip
        wrong_methods(s, where, allowed)
