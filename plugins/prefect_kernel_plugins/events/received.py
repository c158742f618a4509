"""Events as they arrive: validated, bounded, and turned into the values that are stored."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter

from ..common.fields import DateTime


class Limits:
    """Bounds of an event, set at boot from the PREFECT_SERVER_EVENTS_* settings."""

    name_length = 1024
    labels = 500
    related = 100
    size_bytes = 1_500_000


def _resource(labels: dict[str, str]) -> dict[str, str]:
    if len(labels) > Limits.labels:
        raise ValueError(f"The maximum number of labels per resource is {Limits.labels}")
    if "prefect.resource.id" not in labels:
        raise ValueError("Resources must include the prefect.resource.id label")
    if not labels["prefect.resource.id"]:
        raise ValueError("The prefect.resource.id label must be non-empty")
    return labels


def _related(labels: dict[str, str]) -> dict[str, str]:
    _resource(labels)
    if "prefect.resource.role" not in labels:
        raise ValueError("Related Resources must include the prefect.resource.role label")
    if not labels["prefect.resource.role"]:
        raise ValueError("The prefect.resource.role label must be non-empty")
    return labels


def _few(related: list[Any]) -> list[Any]:
    if len(related) > Limits.related:
        raise ValueError(f"The maximum number of related resources is {Limits.related}")
    return related


def _short(name: str) -> str:
    if len(name) > Limits.name_length:
        raise ValueError(f"Event name must be at most {Limits.name_length} characters")
    return name


Resource = Annotated[dict[str, str], AfterValidator(_resource)]
RelatedResource = Annotated[dict[str, str], AfterValidator(_related)]


class Event(BaseModel):
    """An event as a client sends it; unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore")

    occurred: DateTime
    event: Annotated[str, AfterValidator(_short)]
    resource: Resource
    related: Annotated[list[RelatedResource], AfterValidator(_few)] = []
    payload: dict[str, Any] = {}
    id: UUID
    follows: UUID | None = None


_ADAPTER = TypeAdapter(Event)


_SHOWN = ("occurred", "event", "resource", "related", "payload", "id", "follows", "received")


class Received:
    """An event with what storing it needs; `id` and `follows` are text."""

    __slots__ = _SHOWN

    def __init__(self, event: Event, received: datetime) -> None:
        self.occurred, self.event, self.resource = event.occurred, event.event, event.resource
        self.related, self.payload, self.received = event.related, event.payload, received
        self.id = str(event.id)
        self.follows = None if event.follows is None else str(event.follows)

    def oversized(self, sent: int) -> bool:
        """Whether it is larger, as JSON, than an event may be; `sent` is the number of characters it was sent in."""
        if sent * 4 <= Limits.size_bytes:  # most of them: no character has more than four bytes
            return False
        return len(self.json()) > Limits.size_bytes

    def json(self) -> bytes:
        """The event as clients see it."""
        shown = {name: getattr(self, name) for name in _SHOWN}
        try:
            return orjson.dumps(shown, option=orjson.OPT_UTC_Z)
        except TypeError:  # an integer beyond 64 bits, which orjson does not write
            return json.dumps(shown, default=_utc, separators=(",", ":")).encode()

    def clean(self) -> None:
        """Leave out NUL characters, which PostgreSQL cannot store."""
        self.event, self.resource = _clean(self.event), _clean(self.resource)
        self.related, self.payload = _clean(self.related), _clean(self.payload)


def _utc(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def from_frame(frame: str | bytes, received: datetime) -> Received | None:
    """The event of one WebSocket frame; None when it is larger than an event may be. Raises ValidationError."""
    event = Received(_ADAPTER.validate_json(frame), received)
    if event.oversized(len(frame)):
        return None
    if ("\\u0000" if isinstance(frame, str) else b"\\u0000") in frame:  # type: ignore[operator]
        event.clean()
    return event


def from_body(events: list[Event], content: bytes, received: datetime) -> list[Received]:
    """The events of a request's body, without those that are larger than an event may be."""
    taken = [Received(event, received) for event in events]
    if b"\\u0000" in content:
        for event in taken:
            event.clean()
    return [event for event in taken if not event.oversized(len(content))]


def from_outbox(text: str, received: datetime) -> Received:
    """An event that the server itself recorded in the outbox. Raises ValueError."""
    event = Received(_ADAPTER.validate_json(text), received)
    event.clean()
    return event


# ---------------------------------------------------------------- to other processes and back
def to_messages(events: list[Received]) -> bytes:
    """Events as a message to other server processes."""
    return b"[%b]" % b",".join(event.json() for event in events)


def from_messages(data: bytes) -> list[Received]:
    """The events of a message; another server process has checked them."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:  # an integer beyond 64 bits
        found = json.loads(data)
    return [_restored(event) for event in found]


def _restored(event: dict[str, Any]) -> Received:
    restored = Received.__new__(Received)
    for name in _SHOWN:
        setattr(restored, name, event[name])
    restored.occurred = datetime.fromisoformat(event["occurred"])
    restored.received = datetime.fromisoformat(event["received"])
    return restored
