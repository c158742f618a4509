"""What the templates of actions are filled in with: the automation, its firing and events, and objects of the API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urljoin

from prefect_kernel.ids import uuid7

from ..common.hydration import KIND
from ..common.templates import TemplateError, environment, is_template, render
from .calling import ActionFailed, Caller
from .shown import Automation, Event, Firing, Labels, Resource, Shown, plain

_BASE = "prefect_kernel_ui_url"
"""Under which name filters find where the UI is."""

OBJECTS = {
    "deployment": ["/deployments/{id}"],
    "flow": ["/flows/{id}"],
    "flow_run": ["/flow_runs/{id}"],
    "task_run": ["/task_runs/{id}"],
    "work_pool": ["/work_pools/filter"],
    "work_queue": ["/work_queues/{id}", "/work_queues/{id}/status"],
    "concurrency_limit": ["/v2/concurrency_limits/{id}"],
}
"""Names in templates that stand for the first resource of a kind in the event, and where it is read."""

UI_PATHS = {
    "flow": "flows/flow/{id}",
    "flow-run": "runs/flow-run/{id}",
    "task-run": "runs/task-run/{id}",
    "block-document": "blocks/block/{id}",
    "block": "blocks/block/{id}",
    "work-pool": "work-pools/work-pool/{id}",
    "work-queue": "work-queues/work-queue/{id}",
    "concurrency-limit": "concurrency-limits/concurrency-limit/{id}",
    "deployment": "deployments/deployment/{id}",
    "automation": "automations/automation/{id}",
    "event": "events/event/{day}/{id}",
}


def first_of_kind(event: dict[str, Any] | None, kind: str) -> dict[str, str] | None:
    """The first resource of a kind in an event, the one that it is about first."""
    if event is not None:
        for resource in (event["resource"], *event["related"]):
            if resource["prefect.resource.id"].rpartition(".")[0] == kind:
                found: dict[str, str] = resource
                return found
    return None


def names_in(templates: Iterable[str]) -> set[str]:
    """The names that templates refer to."""
    from jinja2 import nodes

    found: set[str] = set()
    for template in templates:
        root = environment().parse(template)
        found |= {node.name for node in root.find_all(nodes.Name) if node.ctx == "load"}
    return found


async def context(
    caller: Caller,
    automation: dict[str, Any],
    firing: dict[str, Any],
    event: dict[str, Any] | None,
    templates: list[str],
) -> dict[str, Any]:
    """What templates may refer to; objects are read only where one of them is named."""
    _register()
    base = caller.kernel.settings.ui_url
    shown = Firing(firing)
    made: dict[str, Any] = {
        _BASE: base,
        "automation": Automation(automation),
        "event": None if event is None else Event(event),
        "labels": Labels(firing["triggering_labels"]),
        "firing": shown,
        "firings": shown.all_firings(),
        "events": shown.all_events(),
    }
    for one in (made["event"], *made["events"]):
        if one is not None:
            one.url = _url(base, one)
    if event is None:
        return made
    named = names_in(templates)
    for name in named.intersection(OBJECTS):
        made[name] = await _read(caller, name, first_of_kind(event, f"prefect.{name.replace('_', '-')}"))
    if "variables" in named:
        answer = await caller("POST", "/variables/filter", {"limit": 200})
        made["variables"] = {one["name"]: one["value"] for one in answer.json()} if answer.status < 300 else {}
    return made


async def _read(caller: Caller, name: str, resource: dict[str, str] | None) -> Shown | None:
    if resource is None:
        return None
    id = resource["prefect.resource.id"].rpartition(".")[2]
    values: dict[str, Any] = {}
    for path in OBJECTS[name]:
        if "{id}" in path:
            answer = await caller("GET", path.format(id=id))
        else:
            answer = await caller("POST", path, {"work_pools": {"id": {"any_": [id]}}})
        if answer.status >= 300:
            return None
        found = answer.json()
        if isinstance(found, list):
            if not found:
                return None
            found = found[0]
        values.update(found)
    state = {key: resource.get(f"prefect.state-{key}") for key in ("type", "name", "timestamp", "message")}
    if name in ("flow_run", "task_run") and None not in state.values():
        values["state"] = _as_it_was(state, values.get("state"))
    return Shown(name.replace("_", "-"), values)


def _as_it_was(state: dict[str, Any], now: dict[str, Any] | None) -> dict[str, Any]:
    """The state that a run had when the event happened, of which no more is known; `now` is the one that it has."""
    details = (now or {}).get("state_details") or {}
    nothing = {key: False if isinstance(value, bool) else None for key, value in details.items()}
    return {"id": uuid7(), **state, "data": None, "state_details": nothing}


def templates_in(value: Any) -> list[str]:
    """The templates in parameters that were upgraded to `__prefect_kind` objects."""
    if isinstance(value, list):
        return [one for item in value for one in templates_in(item)]
    if not isinstance(value, dict):
        return []
    own = [value["template"]] if value.get(KIND) == "jinja" and isinstance(value.get("template"), str) else []
    return own + [one for item in value.values() for one in templates_in(item)]


def filled_in(template: str, found: Mapping[str, Any], details: dict[str, Any]) -> str:
    """A template, filled in. Raises ActionFailed, with more about it in `details`."""
    if not is_template(template):
        return template
    try:
        return str(render(template, found))
    except TemplateError as error:
        details["template_error"] = str(error)
        details["template_source"] = template
        raise ActionFailed(f"Template rendering failed: {error.__cause__!r}") from None


# ---------------------------------------------------------------- filters
def _register() -> None:
    """Teach Jinja the filters that templates of automations may use."""
    from jinja2 import pass_context
    from jinja2.utils import htmlsafe_json_dumps

    if "ui_url" in environment().filters:
        return

    def tojson(value: Any, indent: int | None = None) -> Any:
        options: dict[str, Any] = {} if indent is None else {"indent": indent}
        return htmlsafe_json_dumps(plain(value), sort_keys=True, **options)

    environment().add_filters(
        tojson=tojson,
        ui_url=pass_context(_ui_url),
        ui_resource_events_url=pass_context(_ui_resource_events_url),
        flow_run_id=_flow_run_id,
    )


def _ui_url(ctx: Any, value: Any) -> str | None:
    return _url(ctx.get(_BASE), value)


def _url(base: str | None, value: Any) -> str | None:
    kind, id = _kind_and_id(value)
    path = UI_PATHS.get(kind)
    if kind == "work-pool" and isinstance(value, Shown):
        id = value.get("name")
    if not base or path is None or not id:
        return None
    day = value["occurred"].strftime("%Y-%m-%d") if kind == "event" else ""
    return f"{base.rstrip('/')}/{path.format(id=id, day=day)}"


def _ui_resource_events_url(ctx: Any, value: Any) -> str | None:
    base = ctx.get(_BASE)
    kind, id = _kind_and_id(value)
    if isinstance(value, Resource):
        resource = value.id
    elif kind in ("automation", "deployment", "flow", "flow-run", "task-run", "work-queue", "work-pool"):
        resource = f"prefect.{kind}.{id}"
    else:
        return None
    return urljoin(base or "", f"events?resource={resource}")


def _kind_and_id(value: Any) -> tuple[str, str | None]:
    if isinstance(value, Resource):
        head, _, id = value.id.rpartition(".")
        return head.removeprefix("prefect."), id
    if isinstance(value, Shown):
        return value._kind, value.get("id")  # noqa: SLF001 - not for templates, which cannot see what begins with a line
    return "", None


def _flow_run_id(text: str | None) -> str | None:
    found = re.search(r"flow-run/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", text or "")
    return found.group(1) if found else None
