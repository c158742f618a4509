"""The moments of schedules, the same as the reference finds, wherever the schedule started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from . import cron, rrules
from .zones import zone

MAX_ITERATIONS = 1000
"""Dates that are looked at in one go."""


class Unevaluable(ValueError):
    """No date can be found for the schedule, and why."""


def _number(n: int | None, end: datetime | None) -> int:
    return n if n is not None else 1 if end is None else MAX_ITERATIONS


def _existing(moment: datetime, place: ZoneInfo, fold: int) -> datetime:
    """What a clock shows in a zone; a time that it skips is moved past the gap, or before it with `fold` 0."""
    moment = moment.replace(tzinfo=place, fold=0)
    before = moment.utcoffset() or timedelta(0)
    after = moment.replace(fold=1).utcoffset() or timedelta(0)
    if after > before:
        moment += after - before if fold else before - after
    return moment.replace(fold=fold)


def _split(seconds: float) -> timedelta:
    """A time as the reference adds it: in floating point parts, which round as they do there."""
    if abs(seconds) <= 59:
        return timedelta(seconds=seconds)
    sign = -1 if seconds < 0 else 1
    minutes, rest = divmod(seconds * sign, 60)
    hours, minutes = divmod(minutes, 60) if minutes > 59 else (0, minutes)
    days, hours = divmod(hours, 24) if hours > 23 else (0, hours)
    return timedelta(days=days * sign, hours=hours * sign, minutes=minutes * sign, seconds=rest * sign)


def _elapsed(moment: datetime, seconds: float, place: ZoneInfo) -> datetime:
    return (moment.astimezone(UTC) + _split(seconds)).astimezone(place)


def _interval(schedule: Mapping[str, Any], start: datetime, end: datetime | None) -> Iterator[datetime]:
    place = zone(schedule.get("timezone"))
    seconds = float(schedule["interval"])
    interval = timedelta(seconds=seconds)
    seconds = interval.total_seconds()
    if seconds <= 0:
        raise Unevaluable("interval must be positive")
    anchor = datetime.fromisoformat(schedule["anchor_date"])
    if anchor.tzinfo is None:
        anchor = anchor.replace(tzinfo=UTC)
    start = start.astimezone(place)
    passed = (start.astimezone(UTC) - anchor).total_seconds() / seconds
    moment = _elapsed(anchor.astimezone(place), seconds * int(passed), place)
    days = interval.days
    rest = seconds - days * 24 * 60 * 60

    def following(moment: datetime) -> datetime:
        if days:
            clock = moment.replace(tzinfo=None, fold=0) + (timedelta(days) + _split(rest) if rest else timedelta(days))
            return _existing(clock, place, 1)
        return _elapsed(moment, rest, place)

    while moment < start:  # on the same clock, so by what it shows
        moment = following(moment)
    while end is None or moment <= end:
        yield moment
        moment = following(moment)


def _cron(schedule: Mapping[str, Any], start: datetime, end: datetime | None) -> Iterator[datetime]:
    place = zone(schedule.get("timezone"))
    expression = cron.parse(schedule["cron"])
    day_or = bool(schedule.get("day_or", True))
    start = start.astimezone(UTC) - timedelta(seconds=1)
    local = start.astimezone(place)
    if local.microsecond > 0:
        local = (start + timedelta(seconds=1)).astimezone(place)
    clock = local.replace(tzinfo=None, fold=0)
    for shown in cron.moments(expression, clock, day_or=day_or):
        moment = _existing(shown, place, 0)
        if end is not None and moment > end:
            return
        yield moment


def _rrule(schedule: Mapping[str, Any], start: datetime, end: datetime | None) -> Iterator[datetime]:
    place = zone(schedule.get("timezone"))
    for moment in rrules.moments(schedule["rrule"], schedule.get("timezone"), start, end):
        if end is not None and moment > end:
            return
        yield moment.astimezone(place)


def dates(
    schedule: Mapping[str, Any], n: int | None = None, start: datetime | None = None, end: datetime | None = None
) -> Iterator[datetime]:
    """The first `n` dates of a stored schedule from `start` to `end`, both inclusive, in its own zone.

    Without `n` all up to `end` (1000 at most), or one if there is no `end`. `start` is the present unless given.
    `Unevaluable` when the schedule cannot be evaluated, perhaps after some dates.
    """
    start = datetime.now(UTC) if start is None else start if start.tzinfo else start.replace(tzinfo=UTC)
    if end is not None and end.tzinfo is None:
        end = end.replace(tzinfo=UTC)
    limit = _number(n, end)
    seen: set[datetime] = set()
    try:
        if "interval" in schedule:
            place, found = zone(schedule.get("timezone")), _interval
        elif "cron" in schedule:
            place, found = zone(schedule.get("timezone")), _cron
        else:
            place, found = None, _rrule
        if end is not None and place is not None:
            end = end.astimezone(place)  # so that both are compared by what the clock shows, as in the reference
        for looked_at, moment in enumerate(found(schedule, start, end)):
            if moment not in seen:  # an hour that is had twice is one date
                seen.add(moment)
                yield moment
            if len(seen) >= limit or looked_at > MAX_ITERATIONS:
                return
    except Unevaluable:
        raise
    except Exception as error:
        raise Unevaluable(f"{type(error).__name__}: {error}") from error
