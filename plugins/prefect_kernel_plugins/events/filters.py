"""The filter of events, as clients send it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import Field, RootModel

from ..common.fields import DateTime, Input
from ..common.text_search import MAX_QUERY_LENGTH

PAGE_SIZE = 50
"""Events in a page, at most."""

LOOK_BACK = timedelta(days=180)
"""How far a filter without `since` looks back from the beginning of the day."""


class ResourceSpecification(RootModel[dict[str, str | list[str]]]):
    """Labels, and the patterns of which their values must match one."""

    def values(self, label: str) -> list[str]:
        """The patterns of a label; an empty text is no pattern."""
        value = self.root.get(label)
        return [] if not value else [value] if isinstance(value, str) else value

    def others(self, *apart: str) -> list[tuple[str, list[str]]]:
        """Labels with their patterns, apart from those named."""
        return [
            (label, [value] if isinstance(value, str) else value)
            for label, value in self.root.items()
            if label not in apart
        ]


class EventOccurredFilter(Input):
    """When it occurred; both ends belong to it."""

    since: DateTime = Field(default=None)  # type: ignore[assignment] # filled in when the filter is used
    until: DateTime = Field(default=None)  # type: ignore[assignment]

    def resolve(self, now: datetime) -> None:
        """Put in what was left open."""
        if self.since is None:
            self.since = now.replace(hour=0, minute=0, second=0, microsecond=0) - LOOK_BACK
        if self.until is None:
            self.until = now


class EventNameFilter(Input):
    """The event's name."""

    prefix: list[str] | None = None
    exclude_prefix: list[str] | None = None
    name: list[str] | None = None
    exclude_name: list[str] | None = None


class EventResourceFilter(Input):
    """The resource that the event is about."""

    id: list[str] | None = None
    id_prefix: list[str] | None = None
    labels: ResourceSpecification | None = None
    distinct: bool = False


class EventRelatedFilter(Input):
    """A related resource."""

    id: list[str] | None = None
    role: list[str] | None = None
    resources_in_roles: list[tuple[str, str]] | None = None
    labels: ResourceSpecification | None = None


class EventAnyResourceFilter(Input):
    """Any resource of the event."""

    id: list[str] | None = None
    id_prefix: list[str] | None = None
    labels: ResourceSpecification | None = None


class EventIDFilter(Input):
    """The event's id."""

    id: list[UUID] | None = None


class EventTextFilter(Input):
    """Words in the event's name, resources and payload."""

    query: str = Field(max_length=MAX_QUERY_LENGTH)


class EventOrder(str, Enum):
    """By time: the oldest or the newest first."""

    ASC = "ASC"
    DESC = "DESC"


class EventFilter(Input):
    """Events that fulfil every part."""

    occurred: EventOccurredFilter = Field(default_factory=EventOccurredFilter)
    event: EventNameFilter | None = None
    resource: EventResourceFilter | None = None
    related: EventRelatedFilter | list[EventRelatedFilter] | None = None
    any_resource: EventAnyResourceFilter | list[EventAnyResourceFilter] | None = None
    id: EventIDFilter = Field(default_factory=EventIDFilter)
    text: EventTextFilter | None = None
    order: EventOrder = EventOrder.DESC

    @property
    def distinct(self) -> bool:
        """Whether only one event of each resource is wanted."""
        return self.resource is not None and self.resource.distinct

    def capped(self, limit: int) -> int:
        """`limit`, or the number of ids that are asked for when that is less."""
        return min(limit, len(self.id.id)) if self.id.id else limit


def as_list(value: Any) -> list[Any]:
    """One filter, several, or none as a list."""
    return [] if value is None else value if isinstance(value, list) else [value]
