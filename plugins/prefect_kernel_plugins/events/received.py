"""Events as they arrive: validated, bounded, and turned into the values that are stored."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from prefect_kernel import errors
from prefect_kernel.sql.types import NO_CHARACTER, may_hold_wide_integers

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

    def whole(self) -> bool:
        """Whether all of its texts are Unicode: no database holds half of a character (a lone surrogate)."""
        try:
            json.dumps([self.event, self.resource, self.related, self.payload], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return False
        return True

    def clean(self) -> None:
        """Leave out NUL characters, which PostgreSQL cannot store."""
        self.event, self.resource = _clean(self.event), _clean(self.resource)
        self.related, self.payload = _clean(self.related), _clean(self.payload)


def _utc(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def _clean(value: Any) -> Any:
    """The value, with what is in it changed in its place; not recursive, since payloads may be nested deeply."""
    root = [value]
    left: list[Any] = [root]
    while left:
        inner = left.pop()
        if isinstance(inner, dict) and any("\0" in key for key in inner):
            items = {key.replace("\0", ""): item for key, item in inner.items()}
            inner.clear()
            inner.update(items)
        for at, item in list(inner.items() if isinstance(inner, dict) else enumerate(inner)):
            if isinstance(item, str):
                inner[at] = item.replace("\0", "")
            elif isinstance(item, dict | list):
                left.append(item)
    return root[0]


def from_frame(frame: str | bytes, received: datetime) -> Received | None:
    """The event of one WebSocket frame; None when it is larger than an event may be. Raises ValidationError."""
    event = Received(_ADAPTER.validate_json(frame), received)
    if event.oversized(len(frame)):
        return None
    if ("\\u0000" if isinstance(frame, str) else b"\\u0000") in frame:  # type: ignore[operator]
        event.clean()
    return event


NESTED = 900
"""Levels to which a payload may be nested: what databases, and Python's own writer of JSON, can still take."""


def _deeper(value: Any, levels: int) -> bool:
    """Whether a value is nested to more levels."""
    of_level = [value]
    for _ in range(levels):
        of_level = [one for inner in of_level for one in (inner.values() if isinstance(inner, dict) else inner)]
        of_level = [one for one in of_level if isinstance(one, dict | list)]
        if not of_level:
            return False
    return True


_SURROGATES = (b"\\ud", b"\\uD", b"\xed")
"""With what surrogates begin in JSON: escapes, and bytes; pairs of escapes and Korean letters begin so, too."""


def from_body(events: list[Event], content: bytes, received: datetime) -> list[Received]:
    """The events of a request's body, without those that are larger than an event may be.

    Raises Unprocessable for one that could not be stored.
    """
    taken = [Received(event, received) for event in events]
    if content.count(b"[") + content.count(b"{") > NESTED:
        for number, event in enumerate(taken):
            if _deeper(event.payload, NESTED):
                raise errors.Unprocessable(f"The payload of event {number} is nested to more than {NESTED} levels.")
    if any(sign in content for sign in _SURROGATES):
        for number, event in enumerate(taken):
            if not event.whole():
                raise errors.Unprocessable(f"Event {number} cannot be stored: {NO_CHARACTER}")
    if b"\\u0000" in content:
        for event in taken:
            event.clean()
    return [event for event in taken if not event.oversized(len(content))]


def from_outbox(text: str, received: datetime) -> Received:
    """An event that the server itself recorded in the outbox. Raises ValueError."""
    try:
        event = Received(_ADAPTER.validate_json(text), received)
    except ValidationError:
        # Pydantic's own parser takes 200 levels, and what others have sent in a body may be nested to more.
        event = Received(_ADAPTER.validate_python(_bounded(_parsed(text.encode()))), received)
    event.clean()
    return event


def _bounded(event: Any) -> Any:
    """An event of the server's, cut to the bounds of events: it tells of what has been acknowledged.

    Runs may have more tags than an event may have related resources, and states longer names than events.
    """
    if not isinstance(event, dict):
        return event
    name, related = event.get("event"), event.get("related")
    if isinstance(name, str):
        event["event"] = name[: Limits.name_length]
    if isinstance(related, list) and len(related) > Limits.related:
        tags = [
            at for at, one in enumerate(related) if isinstance(one, dict) and one.get("prefect.resource.role") == "tag"
        ]
        left_out = set(tags[Limits.related - len(related) :])
        event["related"] = [one for at, one in enumerate(related) if at not in left_out][: Limits.related]
    return event


INDEXED_BYTES = 2000
"""So long a resource's id may be that PostgreSQL's indexes hold it in any case."""

NAME_BYTES = 500
"""The same of a name, which is indexed together with an id."""


def narrow(event: Received) -> None:
    """Leave out what no index holds of an event of the server's: tags of runs may be of any length."""
    event.event = event.event.encode()[:NAME_BYTES].decode(errors="ignore")
    event.related = [one for one in event.related if len(one["prefect.resource.id"].encode()) <= INDEXED_BYTES]


def _parsed(text: bytes) -> Any:
    return json.loads(text) if may_hold_wide_integers(text) else orjson.loads(text)


# ---------------------------------------------------------------- to other processes and back
def to_messages(events: list[Received]) -> bytes:
    """Events as a message to other server processes."""
    return b"[%b]" % b",".join(event.json() for event in events)


def from_messages(data: bytes) -> list[Received]:
    """The events of a message; another server process has checked them."""
    return [_restored(event) for event in _parsed(data)]


def _restored(event: dict[str, Any]) -> Received:
    restored = Received.__new__(Received)
    for name in _SHOWN:
        setattr(restored, name, event[name])
    restored.occurred = datetime.fromisoformat(event["occurred"])
    restored.received = datetime.fromisoformat(event["received"])
    return restored
