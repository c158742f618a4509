"""Events: sent over the socket or by POST, filtered; task runs recorded from them."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._bad_input import WRONG, bad_bodies, bad_content_types, bad_fields, wrong_methods
from ._make import flow_run, history, set_state, state, task_history

HELLO: tuple[Any, ...] = ("ping",)
# What is seen where a filter lets everybody's events through; several of them may be of the same moment.
OTHERS = ("body.events", "body.events[]", "body.total", "body.next_page", "headers.vary")


def event(s: Script, number: int, name: str = "my.event", **more: Any) -> dict[str, Any]:
    """An event of a resource of this case's own."""
    return {
        "id": s.uuid(f"event {number}"), "event": name, "occurred": s.now(number / 10 - 60),
        "resource": {"prefect.resource.id": f"thing.{s.name('mine')}", "prefect.resource.name": "Mine"},
        "related": [], "payload": {}, **more,
    }  # fmt: skip


def mine(s: Script, **more: Any) -> dict[str, Any]:
    """A filter for the events of this case."""
    return {"occurred": {"since": s.now(-3600), "until": s.now(3600)},
            "resource": {"id": [f"thing.{s.name('mine')}"]}, **more}  # fmt: skip


def task_event(
    s: Script, run: Ref | None, number: int, initial: str | None, type_: str, *, key: str = "t", **more: Any
) -> dict[str, Any]:
    """What the client sends when it changes the state of a task run."""
    name = type_.title()
    task_id = s.uuid(f"task {key}")
    related = [] if run is None else [
        {"prefect.resource.id": f"prefect.flow-run.{run['id']}", "prefect.resource.role": "flow-run"}
    ]  # fmt: skip
    validated = {"type": type_, "name": name, "message": "", "state_details": {"task_run_id": task_id}, "data": None}
    before = None if initial is None else {"type": initial, "name": initial.title(), "message": "", "state_details": {}}
    return {
        "id": s.uuid(f"state {key} {number}"),
        "event": f"prefect.task-run.{name}",
        "occurred": s.now(number / 10 - 30),
        "resource": {
            "prefect.resource.id": f"prefect.task-run.{task_id}", "prefect.resource.name": f"task-{key}",
            "prefect.run-count": "1", "prefect.state-message": "", "prefect.state-name": name,
            "prefect.state-timestamp": s.now(number / 10 - 30), "prefect.state-type": type_,
            "prefect.orchestration": "client",
        },
        "related": related,
        "payload": {
            "intended": {"from": initial, "to": type_},
            "initial_state": before,
            "validated_state": validated,
            "task_run": {
                "name": f"task-{key}", "task_key": s.name(f"key-{key}"), "dynamic_key": f"{key}-0",
                "empirical_policy": {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 0, "retry_delay": 0},
                "tags": ["a", "b"], "labels": {"x": 1},
                "task_inputs": {"v": [{"input_type": "parameter", "name": "x"}]},
                "run_count": 1, "flow_run_run_count": 1, "start_time": s.now(-30), "total_run_time": 1.5, **more,
            },
        },
        "follows": None,
    }  # fmt: skip


def send(s: Script, *events: dict[str, Any]) -> None:
    """Send events over the socket; a pong says that they have arrived."""
    s.socket("/events/in", *[("send", one) for one in events], ("ping",))


def wait_for(s: Script, count: int, filter_: dict[str, Any] | None = None, **options: Any) -> Ref:
    """Ask until so many events are stored: Python Prefect stores them some seconds later."""
    return s.post("/events/filter", {"filter": filter_ or mine(s)}, until=("total", count), **options)


@sequence
def through_the_socket(s: Script) -> None:
    """Events over the socket are stored, newest first; what comes twice is stored once."""
    related = [{"prefect.resource.id": "r.1", "prefect.resource.role": "owner", "x": "y"}]
    send(
        s,
        event(s, 0),
        event(s, 1, related=related, payload={"a": [1, None, {"ü": 1.5}]}, follows=s.uuid("event 0")),
        event(s, 2, "other"),
        event(s, 1, related=related),
    )
    wait_for(s, 3)
    s.rows("events", order_by="occurred", resource_id=f"thing.{s.name('mine')}")
    s.rows("event_resources", order_by="occurred, resource_role", resource_id=f"thing.{s.name('mine')}")


@sequence
def through_post(s: Script) -> None:
    """Events by POST."""
    s.post("/events", [event(s, 0), event(s, 1)])
    s.post("/events", [])
    s.post("/events/", [event(s, 2)])
    wait_for(s, 2)


@sequence
def of_transitions(s: Script) -> None:
    """Each transition of a flow run leaves an event."""
    run = flow_run(s, tags=["b", "a"], labels={"x": 1})
    set_state(s, run, "RUNNING", message="go")
    set_state(s, run, "RUNNING", "Mine")
    set_state(s, run, "COMPLETED")
    resource = {"resource": {"id": [f"prefect.flow-run.{run['id']}"]}, "order": "ASC"}
    wait_for(s, 4, resource)


@sequence
def task_runs_recorded(s: Script) -> None:
    """Task runs exist through their events alone."""
    run = flow_run(s, state=state("RUNNING"))
    send(
        s,
        task_event(s, run, 0, None, "PENDING"),
        task_event(s, run, 1, "PENDING", "RUNNING"),
        task_event(s, run, 2, "RUNNING", "COMPLETED", end_time=s.now(-29)),
        task_event(s, None, 0, None, "PENDING", key="alone"),
    )
    path = f"/task_run_states/?task_run_id={s.uuid('task t')}"
    s.get(path, until=("", 3))
    task_history(s, _task(s, "t"))
    s.get(f"/task_run_states/?task_run_id={s.uuid('task alone')}", until=("", 1))
    task_history(s, _task(s, "alone"))
    s.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    s.rows("task_run", id=s.uuid("task t"))
    s.rows("task_run_state", order_by="timestamp", task_run_id=s.uuid("task t"))
    history(s, run)


@sequence
def task_runs_out_of_order(s: Script) -> None:
    """Events that come late or twice do not set a task run back."""
    run = flow_run(s, state=state("RUNNING"))
    send(s, task_event(s, run, 2, "RUNNING", "COMPLETED"))
    s.get(f"/task_run_states/?task_run_id={s.uuid('task t')}", until=("", 1))
    send(s, task_event(s, run, 0, None, "PENDING"), task_event(s, run, 1, "PENDING", "RUNNING"))
    send(s, task_event(s, run, 2, "RUNNING", "COMPLETED"))
    s.get(f"/task_run_states/?task_run_id={s.uuid('task t')}", until=("", 3))
    task_history(s, _task(s, "t"))


@sequence
def task_runs_with_results(s: Script) -> None:
    """Data and details in the recorded state, retries and messages."""
    run = flow_run(s, state=state("RUNNING"))
    done = task_event(s, run, 1, "RUNNING", "COMPLETED")
    done["payload"]["validated_state"] |= {
        "name": "Mine", "message": "so", "data": {"type": "reference", "storage_key": "k"},
        "state_details": {"cache_key": "c", "flow_run_id": run["id"], "retriable": True},
    }  # fmt: skip
    send(s, task_event(s, run, 0, None, "RUNNING"), done)
    s.get(f"/task_run_states/?task_run_id={s.uuid('task t')}", until=("", 2))
    task_history(s, _task(s, "t"))


def _task(s: Script, key: str) -> dict[str, str]:
    return {"id": s.uuid(f"task {key}")}


@sequence(independent=True)
def filters(s: Script) -> None:
    """Each part of the filter, over a few events."""
    related = [
        {"prefect.resource.id": "r.1", "prefect.resource.role": "owner", "colour": "red"},
        {"prefect.resource.id": "r.2", "prefect.resource.role": "tag"},
    ]
    send(
        s,
        *(event(s, number, name, related=related[:number], payload={"n": number, "text": "größe 100%"})
          for number, name in enumerate(("a.b", "a.bc", "b", "A.b"))),
    )  # fmt: skip
    wait_for(s, 4)
    thing = f"thing.{s.name('mine')}"
    for more in (
        {"event": {"prefix": ["a."]}}, {"event": {"name": ["b"]}}, {"event": {"exclude_prefix": ["a"]}},
        {"event": {"exclude_name": ["b", "a.b"]}}, {"event": {"prefix": ["a"], "exclude_name": ["a.b"]}},
        {"event": {"prefix": [], "name": []}}, {"event": {"name": []}},
        {"related": {"id": ["r.1"]}}, {"related": {"role": ["tag"]}},
        {"related": {"resources_in_roles": [["r.1", "owner"]]}},
        {"related": {"labels": {"colour": ["red"]}}}, {"related": {"labels": {"colour": []}}},
        {"related": [{"id": ["r.1"]}, {"id": ["r.2"]}]}, {"related": []}, {"related": {}},
        {"any_resource": {"id": ["r.1"]}}, {"any_resource": {"id_prefix": ["r."]}},
        {"any_resource": {"labels": {"colour": ["r*"]}}}, {"any_resource": [{"id": [thing]}, {"id": ["r.2"]}]},
        {"id": {"id": [s.uuid("event 1"), s.uuid("event 3"), s.uuid("event 9")]}}, {"id": {"id": []}},
        {"order": "ASC"}, {"order": "DESC"}, {"occurred": {"since": s.now(-59.95), "until": s.now(-59.75)}},
        {"text": {"query": "GRÖSSE"}}, {"text": {"query": "größe"}}, {"text": {"query": "a.bc"}},
        {"text": {"query": "-a.bc"}}, {"text": {"query": "+owner +tag"}}, {"text": {"query": '"100%"'}},
        {"text": {"query": "%"}}, {"text": {"query": "_"}}, {"text": {"query": ""}},
        {"resource": {"id_prefix": [thing]}}, {"resource": {"id": [thing], "distinct": True}},
        {"resource": {"labels": {"prefect.resource.name": ["Mine"], "prefect.resource.id": [thing]}}},
        {"resource": {"labels": {"prefect.resource.name": ["M*"], "prefect.resource.id": [thing]}}},
        {"resource": {"labels": {"prefect.resource.name": ["!Mine"], "prefect.resource.id": [thing]}}},
        {"resource": {"labels": {"prefect.resource.id": [thing, "x"], "nope": ["*"]}}},
    ):  # fmt: skip
        s.post("/events/filter", {"filter": mine(s, **more)})
    for limit in (0, 1, 2, 50, 51, -1, None, "2", "x", 1.5, [], True):
        s.post("/events/filter", {"filter": mine(s), "limit": limit})


@sequence(independent=True)
def pages(s: Script) -> None:
    """More events than fit on a page: the next page is a link with a token."""
    send(s, *(event(s, number) for number in range(5)))
    wait_for(s, 5)
    s.post("/events/filter", {"filter": mine(s), "limit": 2})
    for token in ("", "x", "e30=", "ZTMwPQ==", "%00", "x" * 500):
        s.get(f"/events/filter/next?page-token={token}")
    s.get("/events/filter/next")


@sequence(independent=True)
def counts(s: Script) -> None:
    """Events counted by day, time, event and resource."""
    send(s, *(event(s, number, name) for number, name in enumerate(("a", "a", "b"))))
    wait_for(s, 3)
    for countable in ("event", "resource", "day", "time", "nothing"):
        for more in (
            {}, {"time_unit": "hour"}, {"time_unit": "minute", "time_interval": 30}, {"time_unit": "x"},
            {"time_interval": 0}, {"time_interval": 0.001}, {"time_unit": "second", "time_interval": 1},
        ):  # fmt: skip
            s.post(f"/events/count-by/{countable}", {"filter": mine(s), **more})
    s.post("/events/count-by/event", {})


@sequence(independent=True)
def bad_filters(s: Script) -> None:
    """Filters that are none."""
    bad_bodies(s, "POST", "/events/filter", {"filter": mine(s)}, ignore=("body.events", "body.total"))
    bad_content_types(
        s, "POST", "/events/filter", '{"filter": {"id": {"id": []}}}', ignore=("body.events", "body.total")
    )
    bad_fields(s, "POST", "/events/filter", {"filter": mine(s)}, ("filter",), ignore=("body.events", "body.total"))
    nobody = {"id": {"id": [s.uuid("nobody")]}, "occurred": {"since": s.now(-3600), "until": s.now(3600)}}
    for field in ("occurred", "event", "resource", "related", "any_resource", "id", "text", "order", "unknown"):
        for value in WRONG:
            s.post("/events/filter", {"filter": {**nobody, field: value}}, ignore=OTHERS)
    for field, parts in (
        ("event", ("prefix", "exclude_prefix", "name", "exclude_name")),
        ("resource", ("id", "id_prefix", "labels", "distinct")),
        ("related", ("id", "role", "resources_in_roles", "labels")),
        ("any_resource", ("id", "id_prefix", "labels")),
        ("text", ("query",)),
        ("id", ("id",)),
        ("occurred", ("since", "until")),
    ):
        for part in parts:
            for value in WRONG:
                s.post("/events/filter", {"filter": {**nobody, field: {part: value}}}, ignore=OTHERS)
    for path, allowed in (("/events", ("POST",)), ("/events/filter", ("POST",)), ("/events/filter/next", ("GET",))):
        wrong_methods(s, path, allowed)


@sequence(independent=True)
def bad_events(s: Script) -> None:
    """Events that are none, by POST."""
    bad_bodies(s, "POST", "/events", event(s, 0))
    bad_content_types(s, "POST", "/events", "[]")
    for field in ("id", "event", "occurred", "resource", "related", "payload", "follows"):
        for value in WRONG:
            s.post("/events", [event(s, 0, **{field: value})])
        s.post("/events", [{name: value for name, value in event(s, 0).items() if name != field}])
    for resource in ({"prefect.resource.id": ""}, {"x": "y"}, {"prefect.resource.id": 1}, {"prefect.resource.id": "a"}):
        s.post("/events", [event(s, 1, resource=resource)])
        s.post("/events", [event(s, 1, related=[resource])])
    s.post("/events", [event(s, 2, unknown=1)])


@sequence
def handshakes(s: Script) -> None:
    """Ways to begin a conversation with /events/in."""
    s.socket("/events/in", HELLO)
    s.socket("/events/in", HELLO, subprotocol=None)
    s.socket("/events/in", ("send", "not json"), ("receive", 1), auth=False)
    s.socket("/events/in", ("send", {"type": "x"}), ("receive", 1), auth=False)
    s.socket("/events/in", ("send", {"type": "auth", "token": "any"}), ("receive", 1), auth=False)
    s.socket("/events/in", HELLO, subprotocol="other")
    s.socket("/events/in/", HELLO)
    s.socket("/events/nowhere", HELLO)


@sequence
def bad_frames(s: Script) -> None:
    """An event that is none ends the conversation."""
    for frame in ("not json", "{}", "[]", "null", {"event": "x"}):
        s.socket("/events/in", ("send", frame), ("receive", 1))
