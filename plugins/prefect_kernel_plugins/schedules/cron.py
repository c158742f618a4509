"""Cron expressions: what croniter makes of them, as in Prefect, on a clock without a zone.

croniter 6 has the dates of the one that Prefect 3.8.8 brings along; croniter 7 reads many expressions differently. It
says which expressions there are. The dates of plain ones come from cronsim, which finds the same ones two to four times
as fast; it has no `day_or`, no seconds at the end, no years, and other rules for names and for steps among weekdays.
Both are imported with the first cron schedule.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (0, 59), (1970, 2099))
_DAYS_OF_MONTH = 2
_RANDOM = re.compile(r"^(?P<kind>h|r)(\((?P<low>\d+)-(?P<high>\d+)\))?(\/(?P<step>\d+))?$")


class BadCron(ValueError):
    """The expression is not one."""


def _drawn(expression: str, field: int, text: str) -> str:
    """`r`, a value that croniter draws anew each time, is drawn here from the expression: once and for all."""
    match = _RANDOM.match(text)
    if match is None or match["kind"] == "h" or field >= len(_RANGES):
        return text  # `h` needs a key, which there is not: croniter refuses it
    low, high = _RANGES[field]
    if match["low"]:
        low, high = int(match["low"]), int(match["high"])
        if low >= high:
            raise BadCron("Range end must be greater than range begin")
    value = zlib.crc32(expression.encode()) >> field
    if match["step"] is None:
        return str(value % (high - low + 1) + low)
    step = int(match["step"])
    if step == 0:
        raise BadCron(f"Bad expression: {text}")
    return f"{value % step + low}-{high}/{step}"


@lru_cache(4096)
def parse(text: str) -> str:
    """An expression with nothing random in it; BadCron when it is none."""
    from croniter import CroniterError, croniter

    lowered = text.lower()
    fields = [_drawn(lowered, i, field) for i, field in enumerate(lowered.split())]
    expression = " ".join(fields)
    if len(fields) > _DAYS_OF_MONTH and "w" in fields[_DAYS_OF_MONTH]:
        raise BadCron("the weekday nearest to a day is not known to Prefect")  # to later croniters it is
    try:
        croniter.expand(expression)
    except (CroniterError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadCron(str(error)) from None
    return expression


def validate(text: str) -> str:
    """An expression that the reference accepts; a ValueError with its text otherwise."""
    try:
        parse(text)
    except BadCron:
        raise ValueError(f'Invalid cron string: "{text}"') from None
    if any(part in ("R", "H", "r", "h") for part in text.split()):
        raise ValueError(f'Random and Hashed expressions are unsupported, received: "{text}"')
    return text


_NUMBERS = r"\d+(-\d+)?(,\d+(-\d+)?)*"
_PLAIN = re.compile(rf"(({_NUMBERS}|\*(/\d+)?) ){{2}}(\*|{_NUMBERS}) ({_NUMBERS}|\*(/\d+)?) (\*|{_NUMBERS})")
"""Numbers, ranges, and steps through all minutes, hours or months."""
_RANGE = re.compile(r"(\d+)-(\d+)")
_SHORTEST, _OVERSHOT = 28, 4
"""See `_prefects_croniter`: days that some month lacks, and those of the next one which they may hide."""


@lru_cache(4096)
def _plain(expression: str) -> bool:
    """Whether cronsim reads a parsed expression as croniter does."""
    if _PLAIN.fullmatch(expression) is None:
        return False
    _, _, day, _, weekday = expression.split()
    numbers = [int(number) for number in re.findall(r"\d+", day)]
    if numbers and min(numbers) < _OVERSHOT and max(numbers) > _SHORTEST:
        return False
    # When both are given, each of the two has days of its own that it does not find.
    return "*" in (day, weekday) and all(int(low) < int(high) for low, high in _RANGE.findall(expression))


@cache
def _prefects_croniter() -> Any:
    """croniter, with the one thing that Prefect's copy does otherwise.

    There, days that February lacks hide the first days of March: `0 0 1,31 * *` has no 1st of March. Later croniters
    have it; schedules of Prefect do not.
    """
    from croniter import croniter

    class Croniter(croniter):
        @staticmethod
        def _get_next_nearest_diff(x: int, to_check: list[Any], range_val: int | None) -> int | None:
            for one in to_check:
                value = range_val if one == "l" and range_val is not None else one
                if value >= x:
                    return int(value - x)
            return None if range_val is None else int(to_check[0] - x + range_val)

    return Croniter


def moments(expression: str, after: datetime, *, day_or: bool) -> Iterator[datetime]:
    """The moments after `after`, all on a clock without a zone; an error of croniter's when none comes in 50 years."""
    after = after.replace(microsecond=0)
    if _plain(expression):
        from cronsim import CronSim, CronSimError

        with suppress(CronSimError):  # a day that none of the months has
            yield from CronSim(expression, after)
    # What is left is no plain expression, or one of a day that does not come.
    found = _prefects_croniter()(expression, after, day_or=day_or)
    while True:
        yield found.get_next(datetime)
