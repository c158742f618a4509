"""Cron expressions: what croniter, which the reference uses, accepts, and the moments that it gives for them.

Five fields (minute, hour, day, month, weekday), six (and seconds), or seven (and years). cronsim has no `day_or`, no
seconds at the end, no years and other rules for names and ranges, so the dates would not be the same.
"""

from __future__ import annotations

import calendar
import re
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY, _SECOND, _YEAR = range(7)
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (0, 59), (1970, 2099))
_SIZES = (60, 24, 31, 12, 7, 60, 130)
_MONTHS = {name: i for i, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_WEEKDAYS = {name: i for i, name in enumerate("sun mon tue wed thu fri sat".split())}
_WORDS: tuple[dict[str, Any], ...] = ({}, {}, {"l": "l"}, _MONTHS, _WEEKDAYS, {}, {})
_ALIASES: tuple[dict[Any, int], ...] = ({}, {}, {0: 1}, {0: 1}, {7: 0}, {}, {})
_NOT_ALIASED = {5: {_DAY, _MONTH}, 6: {_MONTH, _WEEKDAY}, 7: {_DAY, _MONTH, _WEEKDAY}}
"""Fields in which a value is taken as it is, by the number of fields."""
_NICKNAMES = {
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_STEP = re.compile(r"^([^-]+)-([^-/]+)(/(\d+))?$")
_INTEGER = re.compile(r"^\d+$")
_STAR_OR_INTEGER = re.compile(r"^(\d+|\*)$")
_DAYS, _NAMES = "|".join(_WEEKDAYS), "|".join(_MONTHS)
_NTH = re.compile(rf"^(?P<pre>((?P<he>(({_DAYS})(-({_DAYS}))?)|(({_NAMES})(-({_NAMES}))?)|\w+)#)|l)(?P<last>\d+)$")
_RANDOM = re.compile(r"^(?P<kind>h|r)(\((?P<low>\d+)-(?P<high>\d+)\))?(\/(?P<step>\d+))?$")
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MAX_YEARS = 50
_STAR = ["*"]

Nth = dict[int, set[Any]]


class BadCron(ValueError):
    """The expression is not one."""


class NeverAgain(ValueError):
    """The expression matches nothing in the next fifty years."""


class Expression(NamedTuple):
    """The values that each field may have, in order (`*` for any, `l` for the last day), and nth weekdays."""

    fields: list[list[Any]]
    nth: Nth


def _alias(value: Any, field: int, length: int) -> Any:
    return value if field in _NOT_ALIASED[length] else _ALIASES[field].get(value, value)


def _word(field: int, text: str) -> Any:
    try:
        return _WORDS[field][text]
    except KeyError:
        raise BadCron(f"[{text}] is not acceptable") from None


def _chosen(expression: str, field: int, text: str) -> str:
    """`r`, a value that croniter draws anew each time, is drawn here from the expression: once and for all."""
    match = _RANDOM.match(text)
    if match is None:
        return text
    if match["kind"] == "h":
        raise BadCron("Hashed definitions must include hash_id")
    low, high = _RANGES[field]
    if match["low"]:
        low, high = int(match["low"]), int(match["high"])
        if low >= high:
            raise BadCron("Range end must be greater than range begin")
    drawn = zlib.crc32(expression.encode()) >> field
    if match["step"] is None:
        return str(drawn % (high - low + 1) + low)
    step = int(match["step"])
    if step == 0:
        raise BadCron(f"Bad expression: {text}")
    return f"{drawn % step + low}-{high}/{step}"


def _range(field: int, length: int, low_text: str, high_text: str, step_text: str | None) -> list[int]:
    """The values of `low-high/step`; a range may run over the end of its field."""
    first, last = _RANGES[field]
    if field == _DAY and high_text == "l":
        high_text = "31"
    bounds = []
    for text in (low_text, high_text):
        value = text if _INTEGER.search(text) else str(_word(field, text))
        if not _INTEGER.search(value):
            raise BadCron(f"bands in field {field} are not acceptable")
        bounds.append(_alias(int(value), field, length))
    low, high = bounds
    step = int(step_text or 1)
    if max(low, high) > last:
        raise BadCron("out of bands")
    if step == 0:
        raise BadCron("invalid range")
    if low < high:
        return list(range(low, high + 1, step))
    if low == high:
        return list(range(first, last + 1, step))
    out = list(range(low, last + 1, step))
    skip = 0
    if out:
        if out[-1] < first:
            raise BadCron("invalid range")
        skipped = last - out[-1]
        if out[-1] - first + step > last - first + 1 and skipped < step:
            skip = step - skipped
    return out + list(range(first + skip, high + 1, step))


def _nth_of(part: str) -> tuple[str, Any]:
    """A weekday and which of the month it is: a number, `l` for the last, None for every."""
    match = _NTH.match(part)
    if match is None:
        return part, None
    if match["he"]:
        if not 1 <= int(match["last"]) <= 5:
            raise BadCron("Invalid day_of_week value")
        return match["he"], int(match["last"])
    return match["last"], match["pre"]


def _single(field: int, length: int, text: str) -> Any:
    if text.startswith("-"):
        raise BadCron("negative numbers not allowed")
    value: Any = text if _STAR_OR_INTEGER.search(text) else _word(field, text)
    if isinstance(value, str) and _INTEGER.search(value):
        value = int(value)
    value = _alias(value, field, length)
    if value not in ("*", "l") and not _RANGES[field][0] <= value <= _RANGES[field][1]:
        raise BadCron("out of range")
    return value


def _field(field: int, expressions: Sequence[str], text: str, nth_days: Nth) -> list[Any]:
    length = len(expressions)
    first, last = _RANGES[field]
    if "?" in text:
        if text != "?" or field not in (_DAY, _WEEKDAY):
            raise BadCron("Question mark is not acceptable here")
        text = "*"
    parts = text.split(",")
    found = set()
    while parts:
        part, nth = parts.pop(), None
        if field == _WEEKDAY:
            part, nth = _nth_of(part)
        whole = re.sub(r"^\*(\/.+)$", rf"{first}-{last}\1", part)
        match = _STEP.search(whole)
        if match is None:
            whole = re.sub(r"^(.+)\/(.+)$", rf"\1-{last}/\2", part)
            match = _STEP.search(whole)
        if match is None:
            value = _single(field, length, whole)
            found.add(value)
            if field == _WEEKDAY and nth:
                nth_days.setdefault(value, set()).add(nth)
            continue
        values: list[Any] = _range(field, length, match[1], match[2], match[4])
        if nth and nth != "l":
            values = [f"{value}#{nth}" for value in values]
        parts += [str(value) for value in values if str(value) not in parts]
    out = sorted(found, key=lambda value: f"{value:02}" if isinstance(value, int) else value)
    if len(out) == _SIZES[field] and not (
        (field == _DAY and "*" not in expressions[_WEEKDAY]) or (field == _WEEKDAY and "*" not in expressions[_DAY])
    ):
        return _STAR
    return out


@lru_cache(4096)
def parse(text: str) -> Expression:
    """The meaning of an expression; BadCron when it has none."""
    lowered = text.lower()
    lowered = _NICKNAMES.get(lowered, lowered)
    expressions = lowered.split()
    if len(expressions) not in (5, 6, 7):
        raise BadCron("Exactly 5, 6 or 7 columns has to be specified for iterator expression.")
    nth: Nth = {}
    fields = []
    for field, expression in enumerate(expressions):
        try:
            fields.append(_field(field, expressions, _chosen(lowered, field, expression), nth))
        except BadCron:
            raise
        except ValueError as error:
            raise BadCron(str(error)) from None
    if nth:
        others = set(fields[_WEEKDAY]) - set(nth) - {"*"}
        if others and len(set(fields[_WEEKDAY])) != _SIZES[_WEEKDAY]:
            raise BadCron("day-of-week field does not support mixing literal values and nth day of week syntax.")
    return Expression(fields, nth)


def validate(text: str) -> str:
    """An expression that the reference accepts; a ValueError with its text otherwise."""
    try:
        parse(text)
    except BadCron:
        raise ValueError(f'Invalid cron string: "{text}"') from None
    if any(part in ("R", "H", "r", "h") for part in text.split()):
        raise ValueError(f'Random and Hashed expressions are unsupported, received: "{text}"')
    return text


def _distance(value: int, allowed: list[Any], size: int | None) -> int | None:
    """How far the next allowed value is; behind the last one the first of the next round, or None without rounds."""
    for candidate in allowed:
        number = size if candidate == "l" and size is not None else candidate
        if number >= value:
            return int(number - value)
    return None if size is None else int(allowed[0] - value + size)


def _days_in(year: int, month: int) -> int:
    return 29 if month == 2 and calendar.isleap(year) else _LENGTHS[month - 1]


def _midnight(moment: datetime, days: int) -> datetime:
    return moment.replace(hour=0, minute=0, second=0) + timedelta(days=days)


def _later_year(moment: datetime, allowed: list[Any]) -> datetime | None:
    distance = _distance(moment.year, allowed, None)
    if distance is None:
        raise NeverAgain
    return datetime(moment.year + distance, 1, 1) if distance else None  # noqa: DTZ001


def _later_month(moment: datetime, allowed: list[Any]) -> datetime | None:
    distance = _distance(moment.month, allowed, 12)
    if not distance:
        return None
    years, month = divmod(moment.month - 1 + distance, 12)
    return datetime(moment.year + years, month + 1, 1)  # noqa: DTZ001


def _later_day(moment: datetime, allowed: list[Any]) -> datetime | None:
    days = _days_in(moment.year, moment.month)
    if "l" in allowed and days == moment.day:
        return None
    # A day that this month does not have leads into the next one, past days that would match: as croniter has it.
    distance = _distance(moment.day, allowed, days)
    return _midnight(moment, distance) if distance else None


def _later_weekday(moment: datetime, allowed: list[Any]) -> datetime | None:
    distance = _distance(moment.isoweekday() % 7, allowed, 7)
    return _midnight(moment, distance) if distance else None


def _later_nth(moment: datetime, nth_days: Nth) -> datetime | None:
    first = moment.replace(day=1).isoweekday() % 7
    days = _days_in(moment.year, moment.month)
    candidates = []
    for weekday, numbers in nth_days.items():
        in_month = range((weekday - first) % 7 + 1, days + 1, 7)
        for number in numbers:
            if number != "l" and len(in_month) < number:
                continue
            candidate = in_month[-1] if number == "l" else in_month[number - 1]
            if candidate >= moment.day:
                candidates.append(candidate)
    distance = min(candidates) - moment.day if candidates else days - moment.day + 1
    return _midnight(moment, distance) if distance else None


def _search(after: datetime, fields: list[list[Any]], nth: Nth) -> datetime:
    moment = after.replace(microsecond=0) + timedelta(seconds=1 if len(fields) > 5 else 60)
    last_year = after.year + _MAX_YEARS
    years = fields[_YEAR] if len(fields) == 7 and "*" not in fields[_YEAR] else None
    month, day, weekday, hour, minute = (
        None if "*" in fields[i] else fields[i] for i in (_MONTH, _DAY, _WEEKDAY, _HOUR, _MINUTE)
    )
    seconds = fields[_SECOND] if len(fields) > 5 and "*" not in fields[_SECOND] else None
    while moment.year <= last_year:
        later = None
        if years:
            later = _later_year(moment, years)
        if later is None and month:
            later = _later_month(moment, month)
        if later is None and day:
            later = _later_day(moment, day)
        if later is None:
            if nth:
                later = _later_nth(moment, nth)
            elif weekday:
                later = _later_weekday(moment, weekday)
        if later is not None:
            moment = later
            continue
        if hour and (distance := _distance(moment.hour, hour, 24)):
            moment = moment.replace(minute=0, second=0) + timedelta(hours=distance)
            continue
        if minute and (distance := _distance(moment.minute, minute, 60)):
            moment = moment.replace(second=0) + timedelta(minutes=distance)
            continue
        if len(fields) == 5:
            return moment.replace(second=0)
        if seconds and (distance := _distance(moment.second, seconds, 60)):
            moment += timedelta(seconds=distance)
            continue
        return moment
    raise NeverAgain


def following(expression: Expression, after: datetime, *, day_or: bool) -> datetime:
    """The first moment after `after`, both on a clock without a zone; NeverAgain when there is none."""
    fields, nth = expression
    try:
        if day_or and fields[_DAY][0] != "*" and fields[_WEEKDAY][0] != "*":
            by_day = fields.copy()
            by_day[_WEEKDAY] = _STAR
            by_weekday = fields.copy()
            by_weekday[_DAY] = _STAR
            return min(_search(after, by_day, nth), _search(after, by_weekday, nth))
        return _search(after, fields, nth)
    except OverflowError:
        raise NeverAgain from None
