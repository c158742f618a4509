"""Events as they arrive: validated, bounded, and turned into the values that are stored."""

from __future__ import annotations

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


class Received:
    """An event with what storing it needs; `id` and `follows` are text."""

    __slots__ = ("event", "follows", "id", "occurred", "payload", "received", "related", "resource")

    def __init__(self, event: Event, received: datetime) -> None:
        self.occurred, self.event, self.resource = event.occurred, event.event, event.resource
        self.related, self.payload, self.received = event.related, event.payload, received
        self.id = str(event.id)
        self.follows = None if event.follows is None else str(event.follows)

    @property
    def resource_id(self) -> str:
        return self.resource["prefect.resource.id"]

    def row(self, recorded: datetime) -> dict[str, Any]:
        """The row of table `events`."""
        return {
            "id": self.id,
            "occurred": self.occurred,
            "event": self.event,
            "resource_id": self.resource["prefect.resource.id"],
            "resource": self.resource,
            "related_resource_ids": [r["prefect.resource.id"] for r in self.related],
            "related": self.related,
            "payload": self.payload,
            "received": self.received,
            "recorded": recorded,
            "follows": self.follows,
            "created": recorded,
            "updated": recorded,
        }

    def resource_rows(self, recorded: datetime) -> list[dict[str, Any]]:
        """The rows of table `event_resources`, the primary resource first (with role "").

        Their ids are made from the event's, so that storing an event twice, even by two servers, gives them once.
        """
        rows = []
        head, tail = self.id[:28], int(self.id[28:], 16)
        for i, resource in enumerate((self.resource, *self.related)):
            labels = dict(resource)
            rows.append(
                {
                    "occurred": self.occurred,
                    "resource_id": labels.pop("prefect.resource.id"),
                    "resource_role": labels.pop("prefect.resource.role", "") if i else "",
                    "resource": labels,
                    "event_id": self.id,
                    "id": f"{head}{tail ^ (i + 1):08x}",
                    "created": recorded,
                    "updated": recorded,
                }
            )
            if not i:
                labels.pop("prefect.resource.role", None)
        return rows


def from_frame(frame: str | bytes, received: datetime) -> Received | None:
    """The event of one WebSocket frame; None when it is larger than an event may be.

    Raises pydantic.ValidationError.
    """
    if len(frame) > Limits.size_bytes:
        return None
    return Received(_ADAPTER.validate_json(frame), received)


def from_outbox(text: str, received: datetime) -> Received:
    """An event that the server itself recorded in the outbox."""
    return Received(_ADAPTER.validate_python(orjson.loads(text)), received)
