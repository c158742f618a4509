"""Recurrence rules: what python-dateutil makes of them, without walking there from their start.

A rule repeats in periods (every third minute, every second week …). What happens in a period does not depend on the
ones before it, so a rule can be started again at any later period; only COUNT depends on all that was before, and what
was counted is remembered. All arithmetic is on the clock of the schedule's zone, as dateutil does it.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from dateutil import rrule as du
from dateutil import tz as dutz

ANCHOR = datetime(2020, 1, 1)  # noqa: DTZ001 - on the clock of whatever zone the schedule has
"""Where a rule starts that does not say."""
MAX_LENGTH = 6500
"""Characters of a rule; about a year of daily RDATEs."""
_MAX_YIELDS = 2000
_UNITS = {
    du.WEEKLY: timedelta(weeks=1),
    du.DAILY: timedelta(days=1),
    du.HOURLY: timedelta(hours=1),
    du.MINUTELY: timedelta(minutes=1),
    du.SECONDLY: timedelta(seconds=1),
}
_DAYS_PER_PERIOD = {du.YEARLY: 366, du.MONTHLY: 31, du.WEEKLY: 7}
_BY_MONTHS = frozenset(range(1, 13))


class BadRule(ValueError):
    """The rule cannot be evaluated."""


class _Spent(Exception):
    """A rule was searched for longer than is sensible."""


class _Budget(frozenset[int]):
    """Months, which dateutil looks at first for each day that it considers; it may consider so many."""

    left: int

    def __contains__(self, month: object) -> bool:
        self.left -= 1
        if self.left < 0:
            raise _Spent
        return super().__contains__(month)


def parse(text: str, dtstart: datetime | None = None) -> du.rrule | du.rruleset:
    """The rule or set of rules of a text; a ValueError when there is none in it."""
    try:
        return du.rrulestr(text, dtstart=dtstart)
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 - dateutil trips over some texts
        raise ValueError(str(error)) from None


def validate(text: str) -> str:
    """A text that the reference accepts; a ValueError with its text otherwise."""
    try:
        parse(text)
    except ValueError as error:
        raise ValueError(f'Invalid RRule string "{text}": {error}') from None
    if len(text) > MAX_LENGTH:
        raise ValueError(f'Invalid RRule string "{text[:40]}..."\nMax length is {MAX_LENGTH}, got {len(text)}')
    return text


def anchored(text: str, timezone: str | None, now: datetime) -> str:
    """The text with a DTSTART when it has none: 2020, or by minutes or seconds the last one before `now`."""
    if "DTSTART" in text.upper():
        return text
    try:
        rule: Any = parse(text, ANCHOR)
    except ValueError:
        return text
    start = ANCHOR
    if not hasattr(rule, "_rrule"):
        frequency, interval = rule._freq, rule._interval  # noqa: SLF001
        if rule._count is None and frequency in (du.SECONDLY, du.MINUTELY) and interval:  # noqa: SLF001
            zone = (dutz.gettz(timezone) if timezone else None) or UTC
            period = timedelta(seconds=interval * (1 if frequency == du.SECONDLY else 60))
            elapsed = now.astimezone(zone).replace(tzinfo=None) - ANCHOR
            if elapsed > timedelta(0):
                start = ANCHOR + elapsed // period * period
    return f"DTSTART:{start:%Y%m%dT%H%M%S}\n{text}"


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _plain(rule: Any) -> Any:
    """A rule on the clock of a zone, not in one."""
    if rule._interval < 1:  # noqa: SLF001
        raise BadRule("INTERVAL must be positive")
    changes = {"dtstart": _naive(rule._dtstart)}  # noqa: SLF001
    if rule._until:  # noqa: SLF001
        changes["until"] = _naive(rule._until)  # noqa: SLF001
    return rule.replace(cache=False, **changes)


def _month_start(rule: Any, start: datetime, period: datetime) -> Any:
    """A rule by months or years from another period on; days that its own start implied are said."""
    changes: dict[str, Any] = {"dtstart": period}
    original = rule._original_rule  # noqa: SLF001
    implied = ("byweekno", "byyearday", "bymonthday", "byweekday", "byeaster")
    if not any(original.get(name) or (name == "byeaster" and original.get(name) is not None) for name in implied):
        changes["bymonthday"] = start.day
        if rule._freq == du.YEARLY and not original.get("bymonth"):  # noqa: SLF001
            changes["bymonth"] = start.month
    return rule.replace(**changes)


def _restarted(rule: Any, moment: datetime) -> Any:
    """The rule without what it has in periods that end before `moment`."""
    start: datetime = rule._dtstart  # noqa: SLF001
    interval: int = rule._interval  # noqa: SLF001
    if moment <= start:
        return rule
    unit = _UNITS.get(rule._freq)  # noqa: SLF001
    if unit is not None:
        slack = timedelta(days=8) if rule._freq == du.WEEKLY else timedelta(days=1) if rule._freq == du.DAILY else unit  # noqa: SLF001
        periods = max(0, (moment - slack - start) // (unit * interval))
        return rule.replace(dtstart=start + periods * unit * interval) if periods else rule
    months = 12 if rule._freq == du.YEARLY else 1  # noqa: SLF001
    elapsed = (moment.year - start.year) * 12 + moment.month - start.month - months
    periods = elapsed // (months * interval)
    if periods < 1:
        return rule
    year, month = divmod(start.year * 12 + start.month - 1 + periods * months * interval, 12)
    if months == 12:
        return _month_start(rule, start, start.replace(year=year, month=1, day=1))
    return _month_start(rule, start, start.replace(year=year, month=month + 1, day=1))


def _walk(rule: Any, start: datetime, end: datetime) -> Iterator[datetime]:
    """What the rule has from `start` on; at least up to `end`, and no further than a bounded search finds more."""
    months = rule._bymonth  # noqa: SLF001
    if months or rule._freq != du.YEARLY:  # noqa: SLF001
        budget = _Budget(months or _BY_MONTHS)
        days = max((end - rule._dtstart).days, 0) + 1  # noqa: SLF001
        budget.left = days * 2 + 4 * _DAYS_PER_PERIOD.get(rule._freq, 1) + 400_000  # noqa: SLF001
        rule._bymonth = budget  # noqa: SLF001
    try:
        for moment in rule:
            if moment >= start:
                yield moment
    except _Spent:
        return
    except ValueError as error:  # an INTERVAL that never meets its BYHOUR
        raise BadRule(str(error)) from None


_counted: OrderedDict[tuple[str, int], tuple[datetime, int]] = OrderedDict()
"""For rules with COUNT: a moment, and how many of the rule were before it."""
_MAX_COUNTED = 4096


def _with_count(key: tuple[str, int], rule: Any, start: datetime, end: datetime) -> Iterator[datetime]:
    total: int = rule._count  # noqa: SLF001
    endless = rule.replace(count=None)
    moment, before = _counted.get(key, (datetime.min, 0))  # noqa: DTZ901
    if moment > start:
        moment, before = datetime.min, 0  # noqa: DTZ901
    for found in _walk(_restarted(endless, moment), max(moment, rule._dtstart), start):  # noqa: SLF001
        if found >= start or before >= total:
            break
        before += 1
    _counted[key] = (start, before)
    _counted.move_to_end(key)
    if len(_counted) > _MAX_COUNTED:
        _counted.popitem(last=False)
    for found in _walk(_restarted(endless, start), start, end):
        if before >= total:
            return
        before += 1
        yield found


def _component(key: tuple[str, int], rule: Any, start: datetime, end: datetime) -> Iterator[datetime]:
    if rule._count is not None:  # noqa: SLF001
        return _with_count(key, rule, start, end)
    return _walk(_restarted(rule, start), start, end)


class _Excluded:
    """Moments that a set leaves out, asked for in ascending order."""

    def __init__(self, text: str, moments: list[datetime], rules: list[Any], start: datetime, end: datetime) -> None:
        self._moments = set(moments)
        self._iterators = [_component((text, ~i), rule, start, end) for i, rule in enumerate(rules)]
        self._heads: list[datetime | None] = [next(iterator, None) for iterator in self._iterators]

    def __contains__(self, moment: datetime) -> bool:
        if moment in self._moments:
            return True
        for i, iterator in enumerate(self._iterators):
            head = self._heads[i]
            while head is not None and head < moment:
                head = next(iterator, None)
            self._heads[i] = head
            if head == moment:
                return True
        return False


@lru_cache(4096)
def _compiled(text: str) -> tuple[list[Any], list[Any], list[datetime], list[datetime]]:
    parsed: Any = parse(text, ANCHOR)
    if isinstance(parsed, du.rrule):
        return [_plain(parsed)], [], [], []
    return (
        [_plain(rule) for rule in parsed._rrule],  # noqa: SLF001
        [_plain(rule) for rule in parsed._exrule],  # noqa: SLF001
        sorted({_naive(moment) for moment in parsed._rdate}),  # noqa: SLF001
        [_naive(moment) for moment in parsed._exdate],  # noqa: SLF001
    )


def wall_clock(text: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """What a text has from `start` on, on a clock without a zone, each once; BadRule when it cannot be evaluated."""
    try:
        rules, exrules, rdates, exdates = _compiled(text)
    except ValueError as error:
        raise BadRule(str(error)) from None
    if len(rules) == 1 and not exrules and not rdates and not exdates:
        yield from _component((text, 0), rules[0], start, end)
        return
    excluded = _Excluded(text, exdates, exrules, start, end)
    iterators = [_component((text, i), rule, start, end) for i, rule in enumerate(rules)]
    last = None
    for moment in heapq.merge([moment for moment in rdates if moment >= start], *iterators):
        if moment != last and moment not in excluded:
            yield moment
        last = moment


@lru_cache(1024)
def zone(name: str | None) -> tzinfo:
    """The zone as dateutil has it; no name is UTC."""
    found: tzinfo | None = dutz.gettz(name) if name else dutz.UTC
    if found is None:
        raise BadRule(f'There is no time zone "{name}"')
    return found


def moments(text: str, timezone: str | None, start: datetime, end: datetime | None) -> Iterator[datetime]:
    """What a text has at or after `start` (aware), in UTC, in the order of its own clock."""
    place = zone(timezone)
    # The clock shows one of these when it is `start`, or when it is put forward or back around it.
    day = timedelta(hours=36)
    offsets = {(start + shift).astimezone(place).utcoffset() or timedelta(0) for shift in (-day, timedelta(0), day)}
    utc = _naive(start.astimezone(UTC))
    last = _naive((end or start + timedelta(days=3660)).astimezone(UTC)) + timedelta(days=2)
    for moment in wall_clock(text, utc + min(offsets), last):
        instant = moment - (moment.replace(tzinfo=place).utcoffset() or timedelta(0))
        if instant >= utc:
            yield instant.replace(tzinfo=UTC)
