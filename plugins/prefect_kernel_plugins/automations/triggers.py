"""What automations wait for: triggers, as clients declare them, and which events they care about.

The names of classes and of their validators are Prefect's, since they are part of what clients are told about input
that is none. Counting is `evaluating`'s business.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union
from uuid import UUID, uuid4

from pydantic import (
    ConfigDict,
    Field,
    RootModel,
    WrapSerializer,
    WrapValidator,
    field_serializer,
    field_validator,
    model_validator,
)

from .actions import Part, Span
from .kinds import TRIGGERS, OneOf

if TYPE_CHECKING:
    from .evaluating import Event

Labels = dict[str, str]


class Posture(str, Enum):
    """Whether a trigger reacts to events, or to their absence."""

    Reactive = "Reactive"
    Proactive = "Proactive"
    Metric = "Metric"

    def __repr__(self) -> str:
        return f"Posture.{self.name}"  # as it stands in errors


@lru_cache(4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def matches(expected: str, value: str | None) -> bool:
    """Whether a value fits a pattern with wildcards; after `!`, whether it is there and does not."""
    if value is None:
        return False
    if expected.startswith("!"):
        return _pattern(expected[1:]).match(value) is None
    return _pattern(expected).match(value) is not None


class ResourceSpecification(RootModel[dict[str, Union[str, list[str]]]]):  # noqa: UP007 - the label in errors
    """Labels that a resource must have; each with a pattern, or several of which one must fit."""

    def includes(self, resources: Iterable[Labels]) -> bool:
        """Whether one of the resources has the labels; without any, that is so even if there is no resource."""
        return not self.root or any(map(self.matches, resources))

    def matches(self, resource: Labels) -> bool:
        """Whether a resource has the labels."""
        for label, expected in self.root.items():
            value = resource.get(label)
            patterns = [expected] if isinstance(expected, str) else expected
            if not any(matches(pattern, value) for pattern in patterns):
                return False
        return True

    def covers_every(self, kind: str) -> bool:
        """Whether it says no more than that a resource is of a kind."""
        if not self.root:
            return True
        expected = self.root.get("prefect.resource.id") if len(self.root) == 1 else None
        return f"{kind}.*" in ([expected] if isinstance(expected, str) else expected or [])


_Specification = Union[ResourceSpecification, dict[str, Union[str, list[str]]]]  # noqa: UP007


class Trigger(Part):
    """What all triggers have."""

    model_config = ConfigDict(defer_build=False)  # what is built later is named otherwise in errors

    type: str
    id: UUID = Field(default_factory=uuid4)

    def all_triggers(self) -> Iterator[AnyTrigger]:
        """The trigger and those within it."""
        yield self  # type: ignore[misc]

    def reset_ids(self) -> None:
        """Give the trigger and those within it new ids, so that they count from the beginning."""
        for trigger in self.all_triggers():
            trigger.id = uuid4()


class EventTrigger(Trigger):
    """Fires when events happen, or when they do not happen, within a time.

    Plugins' kinds of triggers (`kernel_triggers`) are subclasses with a `type` of their own. They may bring members,
    and say themselves which events matter (`covers`), count (`expects`) or start the counting (`starts_after`), and
    under what they are counted (`key`); all of that from the trigger and the event alone, without waiting.
    """

    type: Literal["event"] = "event"
    match: _Specification = Field(default_factory=lambda: ResourceSpecification({}))
    match_related: Union[_Specification, list[_Specification]] = Field(  # noqa: UP007
        default_factory=lambda: ResourceSpecification({})
    )
    after: set[str] = Field(default_factory=set)
    expect: set[str] = Field(default_factory=set)
    for_each: set[str] = Field(default_factory=set)
    posture: Literal[Posture.Reactive, Posture.Proactive]
    threshold: int = 1
    within: Span = Field(timedelta(seconds=0), ge=timedelta(seconds=0))

    @field_validator("match", mode="before")
    @classmethod
    def coerce_match(cls, v: Any) -> Any:
        """An object is a specification."""
        return ResourceSpecification.model_validate(v) if isinstance(v, dict) else v

    @field_validator("match_related", mode="before")
    @classmethod
    def coerce_match_related(cls, v: Any) -> Any:
        """An object is a specification, also in a list."""
        if isinstance(v, list):
            return [cls.coerce_match(item) for item in v]
        return cls.coerce_match(v)

    @model_validator(mode="before")
    @classmethod
    def enforce_minimum_within_for_proactive_triggers(cls, data: Any) -> Any:
        """Whether something has not happened cannot be said before ten seconds have passed."""
        if not isinstance(data, dict):
            return data
        if "within" in data and data["within"] is None:
            raise ValueError("`within` should be a valid timedelta")
        within = data.get("within")
        if isinstance(within, int | float):
            try:
                within = timedelta(seconds=within)
            except OverflowError:
                raise ValueError("`within` should be a valid timedelta") from None
            data["within"] = within.total_seconds()
        if data.get("posture") == Posture.Proactive:
            if not within:
                data["within"] = 10.0
            elif not isinstance(within, timedelta):
                raise ValueError("`within` should be a valid timedelta")
            elif within < timedelta(seconds=10.0):
                raise ValueError("`within` for Proactive triggers must be greater than or equal to 10 seconds")
        return data

    @field_serializer("after", "expect", "for_each")
    def in_order(self, value: set[str]) -> list[str]:
        """Sets are shown in order."""
        return sorted(value)

    @cached_property
    def _candidates(self) -> tuple[list[str], re.Pattern[str]]:
        if not self.expect:
            return ["*"], re.compile(".+")
        names = self.expect | self.after
        # Beside the pattern as such, the name must fit one in which only `*` is special, and stands for something.
        return sorted(names), re.compile("|".join(re.escape(name).replace("\\*", ".+") for name in names))

    @property
    def proactive(self) -> bool:
        """Whether it fires because something did not happen."""
        return self.posture == Posture.Proactive

    def covers(self, event: Event) -> bool:
        """Whether an event may matter to the trigger."""
        names, pattern = self._candidates
        if not any(_pattern(name).match(event.event) for name in names) or not pattern.match(event.event):
            return False
        if not self._specification(self.match).includes([event.resource]):
            return False
        wanted = self.match_related if isinstance(self.match_related, list) else [self.match_related]
        return all(self._specification(one).includes(event.related) for one in wanted)

    @staticmethod
    def _specification(value: Any) -> ResourceSpecification:
        return value if isinstance(value, ResourceSpecification) else ResourceSpecification(value)

    @property
    def covers_every_flow_run(self) -> bool:
        """Whether neither the labels of flow runs nor those of what is related to them are narrowed down."""
        related = self.match_related if isinstance(self.match_related, list) else [self.match_related]
        return self._specification(self.match).covers_every("prefect.flow-run") and any(
            self._specification(one).covers_every("prefect.flow-run") for one in related
        )

    def starts_after(self, event: str) -> bool:
        """Whether an event of that name starts the counting."""
        return any(matches(name, event) for name in self.after)

    def expects(self, event: str) -> bool:
        """Whether an event of that name counts."""
        return not self.expect or any(matches(name, event) for name in self.expect)

    def key(self, event: Event) -> list[str]:
        """What an event is counted under: the values of the `for_each` labels."""
        return [_label(label, event.resource, event.related) or "" for label in sorted(self.for_each)]

    def met(self, count: int) -> bool:
        """Whether so many events are enough, or for a proactive trigger too few."""
        return count < self.threshold if self.proactive else count >= self.threshold


def _label(label: str, resource: Labels, related: list[Labels]) -> str | None:
    """The value of a label; `related:<role>:<label>` is that of the first related resource in the role."""
    directive, _, name = label.rpartition(":")
    directive, _, role = directive.partition(":")
    if directive == "related":
        for other in related:
            if other.get("prefect.resource.role") == role:
                return other.get(name)
    return resource.get(label)


class CompositeTrigger(Trigger):
    """Fires when triggers within it have fired."""

    type: Literal["compound", "sequence"]
    triggers: list["ServerTriggerTypes"]  # noqa: UP037 - resolved once all kinds are known
    within: Span | None

    def all_triggers(self) -> Iterator[AnyTrigger]:
        yield self  # type: ignore[misc]
        for child in self.triggers:
            yield from child.all_triggers()

    @property
    def required(self) -> int:
        """How many of its triggers must have fired."""
        return len(self.triggers)

    def ready(self, fired: list[str]) -> bool:
        """Whether it fires, when triggers with these ids have fired, in that order."""
        raise NotImplementedError


class CompoundTrigger(CompositeTrigger):
    """Fires when enough of its triggers have fired, in whatever order."""

    type: Literal["compound"] = "compound"
    require: Union[int, Literal["any", "all"]]  # noqa: UP007

    @model_validator(mode="after")
    def validate_require(self) -> Self:
        """A number is one that can be reached."""
        if isinstance(self.require, int):
            if self.require < 1:
                raise ValueError("require must be at least 1")
            if self.require > len(self.triggers):
                raise ValueError("require must be less than or equal to the number of triggers")
        return self

    @property
    def required(self) -> int:
        if self.require == "any":
            return 1
        return len(self.triggers) if self.require == "all" else int(self.require)

    def ready(self, fired: list[str]) -> bool:
        return len(fired) >= self.required


class SequenceTrigger(CompositeTrigger):
    """Fires when its triggers have fired in their order."""

    type: Literal["sequence"] = "sequence"

    def ready(self, fired: list[str]) -> bool:
        return fired == [str(trigger.id) for trigger in self.triggers]


_KINDS = OneOf(TRIGGERS)
ServerTriggerTypes = Annotated[
    Union[EventTrigger, CompoundTrigger, SequenceTrigger],  # noqa: UP007
    WrapValidator(_KINDS.validate),
    WrapSerializer(_KINDS.serialize),
]
"""Any kind of trigger."""
AnyTrigger = EventTrigger | CompoundTrigger | SequenceTrigger

CompoundTrigger.model_rebuild()
SequenceTrigger.model_rebuild()
