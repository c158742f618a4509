"""What the templates of actions are filled in with: the automation, its firing and events, and objects of the API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from ..common.hydration import KIND
from ..common.templates import TemplateError, environment, is_template, render
from .calling import ActionFailed, Caller

_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
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


class Labels:
    """Labels by their dotted names: `labels.hello.world` is the value of `hello.world`."""

    def __init__(self, labels: Mapping[str, str], value: str = "") -> None:
        self._labels, self._value = dict(labels), value

    def __str__(self) -> str:
        return self._value

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Any:
        return iter(self._labels.items())

    def __getitem__(self, key: str) -> str:
        return self._labels[key]

    def __getattr__(self, name: str) -> Labels:
        if name.startswith("_"):
            raise AttributeError(name)
        below = {key[len(name) + 1 :]: value for key, value in self._labels.items() if key.startswith(f"{name}.")}
        if not below and name not in self._labels:
            raise AttributeError(name)
        return Labels(below, self._labels.get(name, ""))


class Shown(dict[str, Any]):
    """An object of the API; its members are found as attributes, times are times."""

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        super().__init__({key: _value(value) for key, value in values.items()})
        self._kind = kind


class Resource(dict[str, str]):
    """A resource of an event."""

    def __iter__(self) -> Iterator[Any]:
        """One pair, as from Prefect's models: the text that the first interface proposes iterates so."""
        yield "root", dict(self)

    @property
    def id(self) -> str:
        return self["prefect.resource.id"]

    @property
    def name(self) -> str | None:
        return self.get("prefect.resource.name")

    @property
    def role(self) -> str | None:
        return self.get("prefect.resource.role")

    @property
    def labels(self) -> Labels:
        return Labels(self)


def _value(value: Any) -> Any:
    if isinstance(value, str) and _TIME.match(value):
        return datetime.fromisoformat(value).astimezone(UTC)
    if isinstance(value, dict):
        return {key: _value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value


def shown_event(event: dict[str, Any] | None) -> Shown | None:
    """An event for templates."""
    if event is None:
        return None
    found = Shown("event", {key: value for key, value in event.items() if key != "payload"})
    resource, related = Resource(event["resource"]), [Resource(one) for one in event["related"]]
    found["payload"] = event["payload"]
    found["resource"], found["related"], found["involved_resources"] = resource, related, [resource, *related]
    found["resource_in_role"] = {one.role: one for one in reversed(related)}
    return found


def _shown_firing(firing: dict[str, Any]) -> Shown:
    found = Shown("firing", {key: value for key, value in firing.items() if not key.startswith("triggering_")})
    found["triggering_event"] = shown_event(firing["triggering_event"])
    found["triggering_labels"] = firing["triggering_labels"]
    found["triggering_firings"] = [_shown_firing(one) for one in firing["triggering_firings"]]
    found["triggering_value"] = firing.get("triggering_value")
    return found


def _all(firing: dict[str, Any]) -> Iterable[dict[str, Any]]:
    yield firing
    for one in firing["triggering_firings"]:
        yield from _all(one)


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
    firings = list(_all(firing))
    made: dict[str, Any] = {
        _BASE: caller.kernel.settings.ui_url,
        "automation": Shown("automation", automation),
        "event": shown_event(event),
        "labels": Labels(firing["triggering_labels"]),
        "firing": _shown_firing(firing),
        "firings": [_shown_firing(one) for one in firings],
        "events": [shown_event(one["triggering_event"]) for one in firings if one["triggering_event"]],
    }
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
    state = {key: resource.get(f"prefect.state-{key}") for key in ("message", "name", "timestamp", "type")}
    if name in ("flow_run", "task_run") and None not in state.values():
        values["state"] = state  # as it was when the event happened
    return Shown(name.replace("_", "-"), values)


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
def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _register() -> None:
    """Teach Jinja the filters that templates of automations may use."""
    from jinja2 import pass_context
    from jinja2.utils import htmlsafe_json_dumps

    filters = environment().filters
    if "ui_url" in filters:
        return

    def tojson(value: Any, indent: int | None = None) -> Any:
        options: dict[str, Any] = {} if indent is None else {"indent": indent}
        return htmlsafe_json_dumps(_plain(value), sort_keys=True, **options)

    filters.update(
        tojson=tojson,
        ui_url=pass_context(_ui_url),
        ui_resource_events_url=pass_context(_ui_resource_events_url),
        flow_run_id=_flow_run_id,
    )


def _ui_url(ctx: Any, value: Any) -> str | None:
    base = ctx.get(_BASE)
    kind, id = _kind_and_id(value)
    path = UI_PATHS.get(kind)
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
        kind = value._kind  # noqa: SLF001 - not for templates, which cannot see what begins with a line
        return kind, value.get("name") if kind == "work-pool" else value.get("id")
    return "", None


def _flow_run_id(text: str | None) -> str | None:
    found = re.search(r"flow-run/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", text or "")
    return found.group(1) if found else None
