"""Templates print what Prefect's print: the expected texts are those of Prefect 3.8.8 for the same objects."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_kernel_plugins.automations import rendering
from prefect_kernel_plugins.automations.shown import Automation, Event, Firing, Labels, Shown
from prefect_kernel_plugins.common.templates import environment, render

ID = "11111111-1111-4111-8111-111111111111"
UI = "http://ui.example/base"
AT = "2024-06-01T12:00:00.500000Z"

EVENT: dict[str, Any] = {
    "id": ID,
    "occurred": AT,
    "received": AT,
    "event": "a.b",
    "follows": None,
    "resource": {"prefect.resource.id": f"prefect.flow-run.{ID}", "prefect.resource.name": "nm"},
    "related": [
        {"prefect.resource.id": "t.1", "prefect.resource.role": "tag", "k": "v"},
        {"prefect.resource.id": "t.2", "prefect.resource.role": "tag"},
    ],
    "payload": {"when": AT, "n": 5},
}
PART: dict[str, Any] = {
    "type": "event",
    "id": ID,
    "match": {"a": "b"},
    "match_related": {},
    "after": [],
    "expect": ["a"],
    "for_each": [],
    "posture": "Proactive",
    "threshold": 1,
    "within": 20.0,
}
TRIGGER = {"type": "compound", "id": ID, "triggers": [PART], "within": 5.0, "require": "all"}
AUTOMATION: dict[str, Any] = {
    "id": ID,
    "name": "n",
    "tags": [],
    "trigger": TRIGGER,
    "actions": [{"type": "do-nothing"}, {"type": "run-deployment", "schedule_after": 5.0}],
    "actions_on_trigger": [],
    "actions_on_resolve": [],
}
FLOW_RUN: dict[str, Any] = {
    "id": ID,
    "name": "x",
    "state_type": "FAILED",
    "state": {"id": ID, "type": "FAILED", "name": "Bad", "timestamp": AT, "message": "boom", "data": None},
    "empirical_policy": {"retries": None, "pause_keys": []},
    "total_run_time": 61.5,
    "estimated_run_time": 61.0,
}
PART_FIRING: dict[str, Any] = {
    "id": ID,
    "trigger": PART,
    "trigger_states": ["Triggered"],
    "triggered": AT,
    "triggering_labels": {"a": "b"},
    "triggering_firings": [],
    "triggering_event": EVENT,
    "triggering_value": None,
}
FIRING = {**PART_FIRING, "trigger": TRIGGER, "triggering_firings": [PART_FIRING]}

CASES = [
    ("{{ event.occurred }} {{ event.payload.when }}", f"2024-06-01 12:00:00.500000+00:00 {AT}"),
    ("{{ event.resource.name }} {{ event.related[0].role }}", "nm tag"),
    ("{{ event.related[1] }}", "root={'prefect.resource.id': 't.2', 'prefect.resource.role': 'tag'}"),
    ("{{ event.resources_in_role.tag|length }} {{ event.resources_in_role['none']|length }}", "2 0"),
    ("{{ event.resource_in_role['tag'].id }} {{ event.involved_resources|length }}", "t.1 3"),
    ("{{ event.find_resource_label('related:tag:k') }} {{ event.find_resource_label('none') }}", "v None"),
    ("{{ event.find_resource_label('related:none:k') }} {{ event.resource.labels.prefect.resource.name }}", "None nm"),
    ("{{ event.url }}", f"{UI}/events/event/2024-06-01/{ID}"),
    ("{{ events[0].url == event.url }} {{ events|length }} {{ firings|length }}", "True 2 2"),
    ("{{ flow_run.state }} {{ flow_run.state_type }}", "Bad('boom', type=FAILED) StateType.FAILED"),
    ("{{ flow_run.state.type ~ '' }} {{ flow_run.state.type|upper }}", "StateType.FAILED FAILED"),
    ("{{ flow_run.state.type == 'FAILED' }} {{ flow_run.state.type.value }}", "True FAILED"),
    ("{{ flow_run.state.is_failed() }} {{ flow_run.state.is_final() }} {{ flow_run.state.is_paused() }}",
     "True True False"),
    ("{{ flow_run.state.is_odd }}|{{ flow_run.nope.nope }}", "|"),
    ("{{ flow_run.total_run_time }} {{ flow_run.estimated_run_time.total_seconds() }}", "0:01:01.500000 61.0"),
    ("{{ {'s': flow_run.state, 't': flow_run.total_run_time}|tojson|length > 20 }}", "True"),
    ("{{ flow_run.state.type|tojson }} {{ automation.trigger.within }}", '"FAILED" 0:00:05'),
    ("{{ automation.trigger.triggers[0].posture }} {{ automation.trigger.triggers[0].expect }}",
     "Posture.Proactive {'a'}"),
    ("{{ automation.trigger.triggers[0].after }} {{ automation.trigger.triggers[0].match }}", "set() root={'a': 'b'}"),
    ("{{ automation.triggers()|length }} {{ automation.trigger.triggers[0].immediate }}", "2 False"),
    ("{{ automation.trigger.triggers|tojson }}",
     '[{"after": [], "expect": ["a"], "for_each": [], "id": "' + ID + '", "match": {"a": "b"}, "match_related": {}, '
     '"posture": "Proactive", "threshold": 1, "type": "event", "within": 20.0}]'),
    ("{{ automation.actions[1].schedule_after }}", "0:00:05"),
    ("{{ firing.trigger_states }} {{ firing.all_events()|length }}", "{TriggerState.Triggered} 2"),
    ("{{ firing.triggering_firings[0].trigger.posture }} {{ firing.triggered }}",
     "Posture.Proactive 2024-06-01 12:00:00.500000+00:00"),
    ("{{ deployment.status }} {{ deployment.schedules[0].schedule.interval }}", "DeploymentStatus.READY 1:00:00"),
    ("{{ flow_run.empirical_policy }} {{ automation.actions[0] }}", "retries=None pause_keys=set() type='do-nothing'"),
    ("{{ work_pool|ui_url }}", f"{UI}/work-pools/work-pool/p"),
    ("{{ work_pool|ui_resource_events_url }}", f"http://ui.example/events?resource=prefect.work-pool.{ID}"),
    ("{{ labels.a.b }} {{ labels['a.b'] }} {{ labels.a }}", "1 1 2"),
]  # fmt: skip


@pytest.fixture
def context() -> dict[str, Any]:
    """What templates of an automation may refer to."""
    rendering._register()
    firing = Firing(FIRING)
    made: dict[str, Any] = {
        rendering._BASE: UI,
        "event": Event(EVENT),
        "automation": Automation(AUTOMATION),
        "flow_run": Shown("flow-run", FLOW_RUN),
        "deployment": Shown("deployment", {"status": "READY", "schedules": [{"schedule": {"interval": 3600.0}}]}),
        "work_pool": Shown("work-pool", {"id": ID, "name": "p"}),
        "labels": Labels({"a.b": "1", "a": "2"}),
        "firing": firing,
        "firings": firing.all_firings(),
        "events": firing.all_events(),
    }
    for one in (made["event"], *made["events"]):
        one.url = rendering._url(UI, one)
    return made


@pytest.mark.parametrize(("template", "expected"), CASES, ids=range(len(CASES)))
def test_what_is_printed(context: dict[str, Any], template: str, expected: str) -> None:
    """Attributes, methods, and how values look."""
    assert render(template, context) == expected


def test_an_event_as_json_has_its_members_only(context: dict[str, Any]) -> None:
    """What templates may ask an event for besides is not part of it."""
    assert environment().from_string("{{ (event|tojson)|length }}").render(context) == str(
        len(render("{{ x|tojson }}", {"x": EVENT}))
    )
