"""Schedules as clients give them. Names of classes and validators are in the texts of errors, so they are Prefect's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator, model_validator

from ..common.fields import Input, OffsetDateTime
from . import cron, rrules, zones


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("interval must be positive")
    return value


class IntervalSchedule(Input):
    """Every so many seconds, counted from a date."""

    interval: Annotated[timedelta, AfterValidator(_positive)]
    anchor_date: OffsetDateTime = Field(default_factory=lambda: datetime.now(UTC))
    timezone: str | None = None

    @model_validator(mode="after")
    def validate_timezone(self) -> IntervalSchedule:
        """A known zone; UTC unless given."""
        self.timezone = "UTC" if self.timezone is None else zones.known(self.timezone)
        return self


class CronSchedule(Input):
    """As a cron expression says, on the clock of a zone."""

    cron: str
    timezone: str | None = None
    day_or: bool = True

    @model_validator(mode="after")
    def validate_timezone(self) -> CronSchedule:
        """A known zone, or none."""
        if self.timezone is not None:
            zones.known(self.timezone)
        return self

    @field_validator("cron")
    @classmethod
    def valid_cron_string(cls, value: str) -> str:
        """An expression that can be read."""
        return cron.validate(value)


class RRuleSchedule(Input):
    """As recurrence rules say, on the clock of a zone."""

    rrule: str
    timezone: Annotated[str, AfterValidator(zones.matching)] | None = "UTC"

    @field_validator("rrule")
    @classmethod
    def validate_rrule_str(cls, value: str) -> str:
        """Rules that can be read."""
        return rrules.validate(value)


Schedule = IntervalSchedule | CronSchedule | RRuleSchedule
"""Any kind of schedule."""


def _normalized(schedule: Any) -> Any:
    if not isinstance(schedule, RRuleSchedule):
        return schedule
    text = rrules.anchored(schedule.rrule, schedule.timezone, datetime.now(UTC))
    if text == schedule.rrule:
        return schedule
    return RRuleSchedule(rrule=text, timezone=schedule.timezone)


NormalizedSchedule = Annotated[Schedule, AfterValidator(_normalized)]
"""A schedule as it is stored: rules say where they start."""


def stored(schedule: Schedule) -> dict[str, Any]:
    """The JSON value that is stored."""
    return schedule.model_dump(mode="json")


__all__ = ["CronSchedule", "IntervalSchedule", "NormalizedSchedule", "RRuleSchedule", "Schedule", "stored"]
