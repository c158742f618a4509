"""Points in time in the spellings of ISO 8601 that pydantic does not read, and the reference does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, timezone

_ZONE = r"(?:Z|(?P<zs>[+-])(?P<zh>\d\d):?(?P<zm>\d\d)?)"
_CLOCKS = {":": r"(?P<H>\d\d)(?::(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d+))?)?)?"}
_CLOCKS[""] = _CLOCKS[":"].replace("(?::", "(?:")
# Without seconds, the reference reads a clock with a mark also after a date without.
_CLOCKS["minutes"] = r"(?P<H>\d\d):(?P<M>\d\d)(?P<S>$)?(?P<f>$)?"
# Dates and times are both written with marks between their parts, or both without.
_WITH_MARKS = r"(?P<y>\d{4})-(?:(?P<m>\d\d)(?:-(?P<d>\d\d))?|(?P<n>\d{3})|W(?P<w>\d\d)(?:-(?P<k>[1-7]))?)"
_WITHOUT = r"(?P<y>\d{4})(?:(?P<m>\d\d)(?P<d>\d\d)|(?P<n>\d{3})|W(?P<w>\d\d)(?P<k>[1-7])?)"
_MOMENTS = tuple(
    re.compile(rf"{date}(?:[Tt ]{_CLOCKS[mark]}(?P<z>{_ZONE})?)?", re.ASCII)
    for date, mark in ((_WITH_MARKS, ":"), (_WITHOUT, ""), (_WITHOUT, "minutes"))
)
_DAY = re.compile(r"(?P<y>\d{4})/(?P<m>\d\d)/(?P<d>\d\d)", re.ASCII)
_TIMES = tuple(re.compile(rf"{begin}{_CLOCKS[mark]}{_ZONE}?", re.ASCII) for begin, mark in (("T?", ":"), ("T", "")))


def parse(text: str) -> datetime:
    """The point in time that a text names: dates with days, weeks or days of the year, or a time of today.

    It has a zone only if one was given. Raises ValueError.
    """
    if text == "now":
        return datetime.now(UTC)
    for pattern in _MOMENTS:
        found = pattern.fullmatch(text)
        if found is not None:
            return datetime.combine(_date(found.groupdict()), _clock(found), tzinfo=_zone(found))
    found = _DAY.fullmatch(text)
    if found is not None:
        return _date(found.groupdict())
    for pattern in _TIMES:
        found = pattern.fullmatch(text)
        if found is not None:
            return datetime.combine(datetime.now(UTC).date(), _clock(found))
    raise ValueError(text)


def _date(found: dict[str, str | None]) -> datetime:
    year, month, day = int(found["y"] or 0), int(found["m"] or 1), int(found["d"] or 1)
    if found.get("w"):
        return datetime.fromisocalendar(year, int(found["w"] or 0), int(found["k"] or 1))
    if found.get("n"):
        moment = datetime(year, 1, 1) + timedelta(days=int(found["n"] or 0) - 1)  # noqa: DTZ001 - only its date counts
        if moment.year != year:
            raise ValueError("no such day")
        return moment
    return datetime(year, month, day)  # noqa: DTZ001 - only its date counts


def _clock(found: re.Match[str]) -> time:
    fraction = (found["f"] or "0")[:6].ljust(6, "0")
    return time(int(found["H"] or 0), int(found["M"] or 0), int(found["S"] or 0), int(fraction))


def _zone(found: re.Match[str]) -> timezone | None:
    if not found["z"]:
        return None
    if not found["zs"]:
        return UTC
    offset = timedelta(hours=int(found["zh"]), minutes=int(found["zm"] or 0))
    return timezone(-offset if found["zs"] == "-" else offset)
