"""Objects of the API as templates see them: with the attributes and methods that Prefect's own have, printed alike.

They are made of JSON. Times become times, durations become durations, and members of enumerations print with their
class (`StateType.FAILED`), though they equal their plain value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")


class Choice(str):
    """A member of an enumeration."""

    _of: str

    def __new__(cls, of: str, value: str) -> Choice:
        made = super().__new__(cls, value)
        made._of = of
        return made

    @property
    def value(self) -> str:
        """Its value, which is its name as well."""
        return str.__str__(self)

    name = value

    def __str__(self) -> str:
        return f"{self._of}.{str.__str__(self)}"

    __repr__ = __str__


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
    """An object of the API; its members are found as attributes."""

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        special = _MEMBERS.get(kind, {})
        super().__init__((key, special.get(key, _value)(value)) for key, value in values.items())
        self._kind = kind

    def __str__(self) -> str:
        return " ".join(f"{key}={value!r}" for key, value in self.items())


class Resource(dict[str, str]):
    """A resource of an event."""

    def __iter__(self) -> Iterator[Any]:
        """One pair, as from Prefect's models: the text that the first interface proposes iterates so."""
        yield "root", dict(self)

    @property
    def id(self) -> str:
        """What it is known by."""
        return self["prefect.resource.id"]

    @property
    def name(self) -> str | None:
        """What it is called."""
        return self.get("prefect.resource.name")

    @property
    def role(self) -> str | None:
        """What it is to the event that it is related to."""
        return self.get("prefect.resource.role")

    @property
    def labels(self) -> Labels:
        """Its labels by their dotted names."""
        return Labels(self)

    def __str__(self) -> str:
        return f"root={dict.__repr__(self)}"

    def __repr__(self) -> str:
        return f"{'RelatedResource' if self.role else 'Resource'}({self})"


class Event(Shown):
    """An event; `url` is where the UI shows it."""

    url: str | None = None

    def __init__(self, event: Mapping[str, Any]) -> None:
        super().__init__("event", {key: value for key, value in event.items() if key != "payload"})
        self["payload"] = event["payload"]  # a text in it that looks like a time remains one
        self["resource"], self["related"] = Resource(event["resource"]), [Resource(one) for one in event["related"]]

    @property
    def involved_resources(self) -> list[Resource]:
        """The resource that it is about, and those that are related."""
        return [self["resource"], *self["related"]]

    @property
    def resource_in_role(self) -> dict[str | None, Resource]:
        """The first related resource in each role."""
        return {one.role: one for one in reversed(self["related"])}

    @property
    def resources_in_role(self) -> dict[str | None, list[Resource]]:
        """The related resources in each role."""
        return _Lists((role, [one for one in self["related"] if one.role == role]) for role in self.resource_in_role)

    def find_resource_label(self, label: str) -> str | None:
        """The value of a label; `related:<role>:<label>` is that of the first related resource in the role."""
        directive, _, name = label.rpartition(":")
        directive, _, role = directive.partition(":")
        if directive == "related":
            for other in self["related"]:
                if other.role == role:
                    found: str | None = other.get(name)
                    return found
        value: str | None = self["resource"].get(label)
        return value


class _Lists(dict[Any, list[Any]]):
    """Lists by keys; one that is not there is empty."""

    def __missing__(self, _key: Any) -> list[Any]:
        return []


class State(Shown):
    """The state of a run."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__("state", values)

    def __str__(self) -> str:
        type_, name, message = str.__str__(self["type"]), self["name"], self.get("message")
        said = [repr(message)] if message else []
        said += [f"type={type_}"] if type_.lower() != (name or "").lower() else []
        return f"{name}({', '.join(said)})"

    def __getattr__(self, name: str) -> Any:
        if name == "is_final":
            return lambda: self["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        if name in _IS:
            return lambda: self["type"] == _IS[name]
        raise AttributeError(name)


_IS = {
    f"is_{name.lower()}": name
    for name in (
        "SCHEDULED",
        "PENDING",
        "RUNNING",
        "COMPLETED",
        "FAILED",
        "CRASHED",
        "CANCELLED",
        "CANCELLING",
        "PAUSED",
    )
}


class Trigger(Shown):
    """A trigger of an automation, or one within another."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__("trigger", values)

    @property
    def immediate(self) -> bool:
        """Whether it fires on every event that it expects, at once."""
        return self.get("posture") == "Reactive" and not self.get("within")

    def all_triggers(self) -> list[Trigger]:
        """The trigger and those within it."""
        return [self, *(one for child in self.get("triggers", ()) for one in child.all_triggers())]


class Automation(Shown):
    """An automation."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__("automation", values)

    def triggers(self) -> list[Trigger]:
        """All of its triggers."""
        found: list[Trigger] = self["trigger"].all_triggers()
        return found


class Firing(Shown):
    """A firing of a trigger."""

    def __init__(self, firing: Mapping[str, Any]) -> None:
        super().__init__("firing", {key: value for key, value in firing.items() if not key.startswith("triggering_")})
        event = firing["triggering_event"]
        self["triggering_event"] = None if event is None else Event(event)
        self["triggering_labels"] = firing["triggering_labels"]
        self["triggering_firings"] = [Firing(one) for one in firing["triggering_firings"]]
        self["triggering_value"] = firing.get("triggering_value")

    def all_firings(self) -> list[Firing]:
        """The firing and those that led to it."""
        return [self, *(one for inner in self["triggering_firings"] for one in inner.all_firings())]

    def all_events(self) -> list[Event]:
        """The events that led to it."""
        return [one["triggering_event"] for one in self.all_firings() if one["triggering_event"]]


def _value(value: Any) -> Any:
    if isinstance(value, str) and _TIME.match(value):
        return datetime.fromisoformat(value).astimezone(UTC)
    if isinstance(value, dict):
        return {key: _value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value


def _choice(of: str) -> Callable[[Any], Any]:
    return lambda value: Choice(of, value) if isinstance(value, str) else value


def _duration(value: Any) -> Any:
    return timedelta(seconds=value) if isinstance(value, int | float) else value


def _set(value: Any) -> Any:
    return set(value) if isinstance(value, list) else value


def _specification(value: Any) -> Any:
    if isinstance(value, list):
        return [_specification(one) for one in value]
    return _Specification(value) if isinstance(value, dict) else value


class _Specification(dict[str, Any]):
    """Labels that a resource must have."""

    def __str__(self) -> str:
        return f"root={dict.__repr__(self)}"

    def __repr__(self) -> str:
        return f"ResourceSpecification({self})"


def _trigger(value: Any) -> Any:
    return Trigger(value) if isinstance(value, dict) else value


def _triggers(value: Any) -> Any:
    return [_trigger(one) for one in value]


def _actions(value: Any) -> Any:
    return [Shown("action", one) for one in value]


def _part(value: Any) -> Any:
    return Shown("", value) if isinstance(value, dict) else value


def _policy(value: Any) -> Any:
    return Shown("policy", value) if isinstance(value, dict) else value


def _state(value: Any) -> Any:
    return State(value) if isinstance(value, dict) else value


def _schedules(value: Any) -> Any:
    return [Shown("deployment-schedule", one) for one in value] if isinstance(value, list) else value


_MEMBERS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "flow-run": {
        "state": _state,
        "state_type": _choice("StateType"),
        "total_run_time": _duration,
        "estimated_run_time": _duration,
        "estimated_start_time_delta": _duration,
        "parameters": lambda value: value,
        "empirical_policy": _policy,
        "created_by": _part,
    },
    "policy": {"pause_keys": _set},
    "state": {"type": _choice("StateType"), "state_details": _part},
    "deployment": {
        "status": _choice("DeploymentStatus"),
        "schedules": _schedules,
        "parameters": lambda value: value,
        "concurrency_options": _part,
        "global_concurrency_limit": _part,
        "created_by": _part,
        "updated_by": _part,
    },
    "deployment-schedule": {"schedule": lambda value: Shown("schedule", value)},
    "schedule": {"interval": _duration},
    "work-pool": {"status": _choice("WorkPoolStatus"), "storage_configuration": _part},
    "work-queue": {"status": _choice("WorkQueueStatus"), "health_check_policy": _part},
    "automation": {
        "trigger": _trigger,
        "actions": _actions,
        "actions_on_trigger": _actions,
        "actions_on_resolve": _actions,
    },
    "action": {"schedule_after": _duration, "state": _choice("StateType"), "parameters": lambda value: value},
    "trigger": {
        "triggers": _triggers,
        "posture": _choice("Posture"),
        "within": _duration,
        "after": _set,
        "expect": _set,
        "for_each": _set,
        "match": _specification,
        "match_related": _specification,
    },
    "firing": {
        "trigger": _trigger,
        "trigger_states": lambda value: {Choice("TriggerState", one) for one in value},
    },
}
_MEMBERS["task-run"] = _MEMBERS["flow-run"]
"""Members of kinds of objects that are more than their JSON says."""


def plain(value: Any) -> Any:
    """What of an object can be written as JSON."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Choice):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, set):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
