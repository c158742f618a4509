"""Automations: what they are made of, their routes, and the rows and events that they leave."""

from __future__ import annotations

from typing import Any

from ..script import Script, sequence
from ._bad_input import (
    NO_ID,
    OTHERS_ROWS,
    WRONG,
    bad_bodies,
    bad_content_types,
    bad_fields,
    bad_ids,
    filter_bodies,
    paging,
    wrong_methods,
)
from .flow_run_queries import IDS

TEMPLATES = (
    "{{ event.id }}", "{{ a", "{% if x %}", "{% nope %}", "plain", "{{ a | nofilter }}", "{{ 1/0 }}", "{# c #}", "{{}}",
    "{% for a in b %}{% endfor %}" * 10, "{% for a in b %}{% endfor %}" * 11,
    "{% for a in b %}{% for a in b %}{% endfor %}{% endfor %}",
    "{% for a in b %}{% for a in b %}{% for a in b %}{% endfor %}{% endfor %}{% endfor %}",
    "a\nb {{ c }}\n{{ d", "{% raw %}{{ a {% endraw %}", "{{ flow_run.name }} {{ automation.name | ui_url }}",
)  # fmt: skip
AUTOMATION_FILTER = {
    "id": {"any_": IDS},
    "name": {"any_": ([], ["a"], ["a", "b"])},
    "created": {"before_": ("2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.5+02:00")},
    "tags": {"all_": ([], ["a"]), "any_": ([], ["a"]), "is_null_": (True, False), "operator": ("and_", "or_")},
    "operator": {},
    "unknown": {},
}
SELECTED = {
    "run-deployment": "deployment_id", "pause-deployment": "deployment_id", "resume-deployment": "deployment_id",
    "pause-work-queue": "work_queue_id", "resume-work-queue": "work_queue_id", "pause-work-pool": "work_pool_id",
    "resume-work-pool": "work_pool_id", "pause-automation": "automation_id", "resume-automation": "automation_id",
}  # fmt: skip
PLAIN = ("do-nothing", "cancel-flow-run", "delete-flow-run", "suspend-flow-run", "resume-flow-run")


def trigger(**more: Any) -> dict[str, Any]:
    """A trigger that no event of others fires."""
    return {"type": "event", "posture": "Reactive", "expect": ["conformance.never"], "threshold": 1, **more}


def automation(s: Script, **more: Any) -> dict[str, Any]:
    """The body of an automation that does nothing."""
    return {"name": s.name("automation"), "trigger": trigger(), "actions": [{"type": "do-nothing"}], **more}


def actions(s: Script) -> list[dict[str, Any]]:
    """One action of each kind."""
    id = s.uuid("target")
    return [
        *({"type": kind} for kind in PLAIN),
        *({"type": kind, key: id} for kind, key in SELECTED.items()),
        {"type": "change-flow-run-state", "state": "FAILED", "name": "Bad", "message": "m", "force": True},
        {"type": "send-notification", "block_document_id": id, "body": "{{ event.id }}"},
        {"type": "call-webhook", "block_document_id": id, "payload": {"message": "{{ event.id }}", "b": [1, "ü"]}},
    ]


@sequence
def life(s: Script) -> None:
    """Made, read, listed, put, disabled, deleted; with the rows and events of each step."""
    made = s.post("/automations/", automation(s, actions=actions(s), tags=["b", "a"], owner_resource=s.name("owner")))
    path = f"/automations/{made['id']}"
    s.get(path)
    s.rows("automation", id=f"{made['id']}")
    s.rows("automation_related_resource", automation_id=f"{made['id']}", order_by="resource_id")
    mine = {"automations": {"id": {"any_": [f"{made['id']}"]}}}
    s.post("/automations/filter", mine)
    s.post("/automations/count", mine)
    s.get(f"/automations/related-to/{s.name('owner')}")
    s.get(f"/automations/related-to/prefect.deployment.{s.uuid('target')}")
    for body in ({"enabled": False}, {"enabled": True}, {}):
        s.patch(path, body)
        s.get(path)
    s.put(path, automation(s, name=s.name("other"), description="d", enabled=False))
    s.get(path)
    s.rows("automation_related_resource", automation_id=f"{made['id']}", order_by="resource_id")
    s.put(path, {"name": s.name("third"), "trigger": {"posture": "Reactive"}, "actions": [{}]})
    s.get(path)
    s.rows("automation", id=f"{made['id']}")
    s.post(
        "/events/filter",
        {"filter": {"event": {"prefix": ["prefect.automation."]}, "order": "ASC",
                    "resource": {"id": [f"prefect.automation.{made['id']}"]}}},
        until=("total", 6),
        ignore=("body.next_page",),
    )  # fmt: skip
    s.delete(path)
    s.get(path)
    s.delete(path)
    s.put(path, automation(s))
    s.patch(path, {"enabled": True})
    s.rows("automation_related_resource", automation_id=f"{made['id']}")


@sequence
def owners(s: Script) -> None:
    """What belongs to a resource goes with it; what is merely related stays."""
    id = s.uuid("deployment")
    run = [{"type": "run-deployment", "deployment_id": id}]
    owner = f"prefect.deployment.{id}"
    mine = s.post("/automations/", automation(s, name=s.name("a"), actions=run, owner_resource=owner))
    other = s.post("/automations/", automation(s, name=s.name("b"), actions=run))
    s.rows("automation_related_resource", resource_id=owner, order_by="automation_owned_by_resource")
    s.get(f"/automations/related-to/{owner}", unordered=("body",))
    s.put(f"/automations/{mine['id']}", automation(s))
    s.rows("automation_related_resource", resource_id=owner, order_by="automation_owned_by_resource")
    s.delete(f"/automations/owned-by/{owner}")
    s.get(f"/automations/{mine['id']}")
    s.get(f"/automations/{other['id']}")
    s.get(f"/automations/related-to/{owner}")
    s.delete(f"/automations/owned-by/{owner}")
    s.delete(f"/automations/{other['id']}")
    s.get("/automations/related-to/nobody")
    s.get("/automations/related-to/a%2Fb")
    s.get("/automations/related-to/a/b")


@sequence(independent=True)
def bad_automations(s: Script) -> None:
    """Bodies and fields that are no automations."""
    good = automation(s, enabled=False)
    bad_bodies(s, "POST", "/automations/", good)
    fields = (
        "name", "description", "enabled", "tags", "trigger", "actions", "actions_on_trigger", "actions_on_resolve",
        "owner_resource", "id", "created",
    )  # fmt: skip
    bad_fields(s, "POST", "/automations/", good, fields)
    bad_content_types(s, "POST", "/automations/", '{"name": "x"}')
    bad_fields(s, "PUT", f"/automations/{NO_ID}", good, ("name", "trigger", "owner_resource"))
    bad_fields(s, "PATCH", f"/automations/{NO_ID}", {"enabled": True}, ("enabled", "name"))
    bad_bodies(s, "PATCH", f"/automations/{NO_ID}", {"enabled": True})


@sequence(independent=True)
def event_triggers(s: Script) -> None:
    """Each field of an event trigger with good and with wrong values."""

    def post(one: Any) -> None:
        s.post("/automations/", automation(s, enabled=False, trigger=one))

    for field in (
        "type", "id", "match", "match_related", "after", "expect", "for_each", "posture", "threshold", "within"
    ):  # fmt: skip
        for value in WRONG:
            post(trigger(**{field: value}))
        post({name: value for name, value in trigger().items() if name != field})
    post(trigger(unknown=1))
    for match in ({"a": "b"}, {"a": ["b", "!c*"]}, {"a": []}, {"a": {}}, {"a": None}, {"a": [1]}, [{}], [{"a": "b"}]):
        post(trigger(match=match))
        post(trigger(match_related=match))
    for related in ([{"a": "b"}, {"c": ["d"]}], [{"a": "b"}, 1], [{"a": 1}], [[]], [None]):
        post(trigger(match_related=related))
    for posture in ("Reactive", "Proactive", "Metric", "reactive"):
        for within in (0, 1, 9.999, 10, 10.5, 60, -1, -0.5, None, "x", True, 86400 * 400):
            post(trigger(posture=posture, within=within))
        post(trigger(posture=posture))
    for within in ("PT20S", "1", "00:00:10", "P1D", "20"):
        post(trigger(within=within))
    for threshold in (0, -5, 2**31, 1.0, "3"):
        post(trigger(threshold=threshold))


@sequence(independent=True)
def composite_triggers(s: Script) -> None:
    """Compound and sequence triggers, nested, with good and with wrong values."""

    def post(one: Any) -> None:
        s.post("/automations/", automation(s, enabled=False, trigger=one))

    two = [trigger(), trigger(expect=["conformance.other"])]
    for kind in ("compound", "sequence"):
        good = {"type": kind, "triggers": two, "within": 60, "require": "all"}
        post(good)
        post({**good, "triggers": [good, *two]})
        for field in ("triggers", "within", "require", "id", "type"):
            for value in WRONG:
                post({**good, field: value})
            post({name: value for name, value in good.items() if name != field})
        for require in (1, 2, 3, 0, -1, "any", "all", "some", "2"):
            post({**good, "require": require})
        for within in (0, 1.5, -1, None, "PT1M"):
            post({**good, "within": within})
        post({**good, "triggers": [{**good, "triggers": [trigger(posture="Proactive", within=3)]}]})


@sequence(independent=True)
def kinds_of_actions(s: Script) -> None:
    """Each kind of action, each of its fields with wrong values, in each of the three lists."""

    def post(action: Any, where: str = "actions") -> None:
        s.post("/automations/", automation(s, enabled=False, **{where: [action]}))

    for where in ("actions", "actions_on_trigger", "actions_on_resolve"):
        s.post("/automations/", automation(s, enabled=False, **{where: actions(s)}))
    for action in actions(s):
        for field in action:
            if field != "type":
                post({name: value for name, value in action.items() if name != field})
                for value in WRONG:
                    post({**action, field: value})
        post({**action, "unknown": 1})
    for kind, key in SELECTED.items():
        for source in ("selected", "inferred", "chosen", None):
            post({"type": kind, "source": source})
            post({"type": kind, "source": source, key: NO_ID})
    for action in ({}, {"type": "emit-event"}, {"type": None}, "do-nothing", None, {"deployment_id": NO_ID}):
        post(action)
    for state in ("SCHEDULED", "PENDING", "PAUSED", "CANCELLING", "Late", "failed"):
        post({"type": "change-flow-run-state", "state": state})


@sequence(independent=True)
def templates_of_actions(s: Script) -> None:
    """Templates in the texts and parameters of actions."""
    id = s.uuid("target")
    for template in TEMPLATES:
        for action in (
            {"type": "send-notification", "block_document_id": id, "body": template},
            {"type": "send-notification", "block_document_id": id, "body": "b", "subject": template},
            {"type": "call-webhook", "block_document_id": id, "payload": template},
            {"type": "run-deployment", "deployment_id": id, "parameters": {"a": template, "b": {"c": [template]}}},
            {"type": "run-deployment", "deployment_id": id,
             "parameters": {"a": {"__prefect_kind": "jinja", "template": template}}},
        ):  # fmt: skip
            s.post("/automations/", automation(s, enabled=False, actions=[action]))
    for value in (
        {"__prefect_kind": "jinja"}, {"__prefect_kind": "json"}, {"__prefect_kind": "json", "value": "{"},
        {"__prefect_kind": "none"}, {"__prefect_kind": "none", "value": 1}, {"__prefect_kind": "workspace_variable"},
        {"__prefect_kind": "workspace_variable", "variable_name": "x"}, {"__prefect_kind": "odd", "value": 1},
        {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "{{ a"}},
    ):  # fmt: skip
        for parameters in ({"a": value}, {"a": {"b": value}}, {"a": [value]}, {"a": [{"b": value}]}, value):
            action = {"type": "run-deployment", "deployment_id": id, "parameters": parameters}
            s.post("/automations/", automation(s, enabled=False, actions=[action]))


@sequence(independent=True)
def loops(s: Script) -> None:
    """Automations that would run a deployment because of its own runs, and those that only might."""
    for source in ({"source": "inferred"}, {"deployment_id": NO_ID}):
        run = [{"type": "run-deployment", **source}]
        for expect in ("Scheduled", "Pending", "Running", "*", "Completed", "Run*"):
            for more in (
                {}, {"match": {"prefect.resource.id": "prefect.flow-run.*"}}, {"match": {"a": "b"}},
                {"match_related": {"a": "b"}}, {"match_related": [{"a": "b"}, {}]}, {"match_related": []},
                {"match": {"prefect.resource.id": ["x", "prefect.flow-run.*"]}}, {"posture": "Proactive"},
            ):  # fmt: skip
                one = trigger(expect=[f"prefect.flow-run.{expect}"], for_each=["conformance"], threshold=999, **more)
                s.post("/automations/", automation(s, trigger=one, actions=run, enabled=False))
                for where in ("actions", "actions_on_trigger"):
                    made = s.post("/automations/", automation(s, trigger=one, **{"actions": [], where: run}))
                    s.delete(f"/automations/{made['id']}")


@sequence
def enabling_a_loop(s: Script) -> None:
    """A disabled automation that would loop cannot be enabled."""
    one = {"type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.*"]}
    body = automation(s, enabled=False, trigger=one, actions=[{"type": "run-deployment", "source": "inferred"}])
    made = s.post("/automations/", body)
    path = f"/automations/{made['id']}"
    s.patch(path, {"enabled": True})
    s.patch(path, {})
    s.patch(path, {"enabled": False})
    s.put(path, {**body, "enabled": True})
    s.put(path, {key: value for key, value in body.items() if key != "enabled"})
    s.get(path)
    s.delete(path)


@sequence
def job_variables(s: Script) -> None:
    """Job variables of a run-deployment action are checked with the deployment's work pool."""
    run = {"type": "run-deployment", "deployment_id": s.uuid("nobody"), "job_variables": {"a": 1}}
    for variables in ({"a": 1}, {}, None):
        s.post("/automations/", automation(s, enabled=False, actions=[{**run, "job_variables": variables}]))
        s.put(f"/automations/{NO_ID}", automation(s, actions=[{**run, "job_variables": variables}]))
    s.post("/automations/", automation(s, enabled=False, actions=[], actions_on_trigger=[run]))


@sequence(independent=True)
def filter_fields(s: Script) -> None:
    """Each operator of each field with good and with wrong values."""
    s.post("/automations/", automation(s, tags=["a"]))
    mine = {"name": {"any_": [s.name("automation")]}}
    for body in filter_bodies(AUTOMATION_FILTER):
        ignore = OTHERS_ROWS if "name" in body or "operator" in body else ()
        s.post("/automations/filter", {"automations": {**mine, **body}}, ignore=ignore)
        s.post("/automations/count", {"automations": {**mine, **body}}, ignore=ignore)


@sequence
def queries(s: Script) -> None:
    """Sorts, pages and filters over a few automations."""
    for number, tags in enumerate(([], ["x"], ["x", "y"], ["y"])):
        s.post("/automations/", automation(s, name=f"{number}-{s.name()}", tags=[*tags, s.name("t")] if tags else []))
    names = [f"{number}-{s.name()}" for number in range(4)]
    mine = {"name": {"any_": names}}
    for sort in ("CREATED_DESC", "UPDATED_DESC", "NAME_ASC", "NAME_DESC", "", None, 1, "CREATED_ASC"):
        s.post("/automations/filter", {"automations": mine, "sort": sort})
    for more in (
        {"tags": {"all_": ["x"]}}, {"tags": {"any_": ["x", "y"]}}, {"tags": {"all_": ["x", "y"]}},
        {"tags": {"is_null_": True}}, {"tags": {"is_null_": False}},
        {"tags": {"operator": "or_", "is_null_": True, "any_": ["y"]}}, {"created": {"before_": s.now(-60)}},
        {"created": {"before_": s.now(3600)}}, {"operator": "or_", "tags": {"all_": ["nobody"]}},
    ):  # fmt: skip
        s.post("/automations/filter", {"automations": {**mine, **more}})
        s.post("/automations/count", {"automations": {**mine, **more}})
    paging(s, "/automations/filter", {"automations": mine})
    bad_fields(s, "POST", "/automations/count", {"automations": mine}, ("automations",), ignore=OTHERS_ROWS)


@sequence(independent=True)
def checking_templates(s: Script) -> None:
    """Both routes that check a template."""
    for path in ("/templates/validate", "/automations/templates/validate"):
        for template in (*TEMPLATES, "", "\x00", "größe ✓ {{ ü }}", None, 1, [], {}, {"template": "x"}, True):
            s.post(path, template)
        s.post(path)
        bad_content_types(s, "POST", path, '"{{ a"')
        for text in (b'"', b"{{ a }}", b"nul", b'"\\ud800"', b"\xff"):
            s.post(path, raw=text, headers={"content-type": "application/json"})
        wrong_methods(s, path, ("POST",))


@sequence(independent=True)
def paths(s: Script) -> None:
    """Bad ids and wrong methods."""
    for method, body in (("GET", None), ("DELETE", None), ("PUT", automation(s)), ("PATCH", {"enabled": False})):
        if body is None:
            for bad in ("x", NO_ID, NO_ID.upper(), NO_ID[:-1], NO_ID.replace("-", "")):
                s.request(method, f"/automations/{bad}")
        else:
            bad_ids(s, method, "/automations/{id}", body)
    wrong_methods(s, "/automations/", ("POST",))
    wrong_methods(s, "/automations/filter", ("POST",))
    wrong_methods(s, "/automations/count", ("POST",))
    wrong_methods(s, f"/automations/{NO_ID}", ("GET", "PUT", "PATCH", "DELETE"))
    wrong_methods(s, "/automations/related-to/x", ("GET",))
    wrong_methods(s, "/automations/owned-by/x", ("DELETE",))


def _told(s: Script, made: Any, name: str, total: int) -> None:
    """The events of a name about an automation, once there are so many."""
    s.post(
        "/events/filter",
        {"filter": {"event": {"name": [f"prefect.automation.{name}"]}, "order": "ASC",
                    "resource": {"id": [f"prefect.automation.{made['id']}"]}}},
        until=("total", total),
        ignore=("body.next_page",),
        unordered=("body.events",),  # the reference does two actions at a time
    )  # fmt: skip


def _event(s: Script, name: str, seconds: float, of: str = "r", **more: Any) -> None:
    s.post(
        "/events",
        [{"id": s.uuid(f"{name} {of} {seconds}"), "event": s.name(name), "occurred": s.now(seconds),
          "resource": {"prefect.resource.id": s.name(of), "n": name}, **more}],
    )  # fmt: skip


@sequence(dialect="sqlite")  # on PostgreSQL the reference hears of new automations only after a while
def firings(s: Script) -> None:
    """Triggers of each kind, the events that tell that they fired, and what becomes of their actions."""
    refused = [
        {"type": "do-nothing"},
        {"type": "cancel-flow-run"},
        {"type": "pause-automation", "automation_id": NO_ID},
    ]
    once = s.post(
        "/automations/",
        automation(s, name=s.name("once"), trigger=trigger(expect=[s.name("a")]), actions=refused,
                   actions_on_trigger=[{"type": "do-nothing"}]),
    )  # fmt: skip
    thrice = s.post(
        "/automations/",
        automation(s, name=s.name("thrice"),
                   trigger=trigger(expect=[s.name("a"), s.name("b")], threshold=3, within=60, for_each=["n"])),
    )  # fmt: skip
    parts = [trigger(expect=[s.name("a")]), trigger(expect=[s.name("b")])]
    both = {"type": "compound", "triggers": parts, "within": 60, "require": "all"}
    both = s.post("/automations/", automation(s, name=s.name("both"), trigger=both))
    ends = s.post("/automations/", automation(s, name=s.name("ends"), trigger=trigger(expect=[s.name("end")])))
    _event(s, "a", 0, related=[{"prefect.resource.id": "x", "prefect.resource.role": "y"}])
    _told(s, once, "triggered", 1)
    _event(s, "b", 1)
    _told(s, both, "triggered", 1)
    for seconds in (2, 3):
        _event(s, "b", seconds)
    _told(s, thrice, "triggered", 1)
    _event(s, "end", 4)
    _told(s, ends, "triggered", 1)
    _told(s, once, "action.failed", 2)
    _told(s, once, "action.executed", 2)
    _told(s, both, "action.executed", 1)
    _told(s, thrice, "action.executed", 1)
    for made in (once, thrice, both, ends):
        s.rows("automation_bucket", automation_id=f"{made['id']}", order_by="bucketing_key")
        s.rows("composite_trigger_child_firing", automation_id=f"{made['id']}")
        s.delete(f"/automations/{made['id']}")


@sequence(dialect="sqlite")
def deeds(s: Script) -> None:
    """Actions that change flow runs and automations, with templates."""
    flow = s.post("/flows/", {"name": s.name("flow")})
    run = s.post("/flow_runs/", {"flow_id": f"{flow['id']}", "name": s.name("run"), "state": {"type": "RUNNING"}})
    other = s.post("/automations/", automation(s, name=s.name("other")))
    made = s.post(
        "/automations/",
        automation(s, name=s.name("deeds"), trigger=trigger(expect=[s.name("go")]), actions=[
            {"type": "pause-automation", "automation_id": f"{other['id']}"},
            {"type": "change-flow-run-state", "state": "FAILED", "name": "Bad"},
            {"type": "resume-flow-run"},
            {"type": "call-webhook", "block_document_id": NO_ID},
        ]),
    )  # fmt: skip
    resource = {"prefect.resource.id": f"prefect.flow-run.{run['id']}"}
    _event(s, "go", 0, resource=resource)
    _told(s, made, "action.executed", 2)
    _told(s, made, "action.failed", 2)
    s.get(f"/automations/{other['id']}")
    s.get(f"/flow_runs/{run['id']}", ignore=("body.estimated_run_time", "body.total_run_time"))
    s.delete(f"/automations/{made['id']}")
    s.delete(f"/automations/{other['id']}")
