"""Names of time zones: which there are is found out once, not per request."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from pydantic_core import PydanticKnownError


@cache
def names() -> frozenset[str]:
    """All zones that this machine knows, or that `tzdata` brings."""
    return frozenset(available_timezones())


@cache
def pattern() -> str:
    """The pattern by which the reference describes zones of RRULE schedules."""
    return "|".join(name for name in sorted(names()) if "localtime" not in name)


@cache
def _compiled() -> re.Pattern[str]:
    return re.compile(pattern())


@lru_cache(1024)
def matches(name: str) -> bool:
    """Whether the pattern is found anywhere in the name, which is all that it asks."""
    return (name in names() and "localtime" not in name) or _compiled().search(name) is not None


def known(name: str) -> str:
    """A name that is a zone, or empty; anything else is a ValueError."""
    if name and name not in names():
        raise ValueError(f'Invalid timezone: "{name}" (specify in IANA tzdata format, for example, America/New_York)')
    return name


def matching(name: str) -> str:
    """A name in which the pattern is found; anything else is a validation error that shows the pattern."""
    if not matches(name):
        raise PydanticKnownError("string_pattern_mismatch", {"pattern": pattern()})
    return name


@lru_cache(1024)
def zone(name: str | None) -> ZoneInfo:
    """The rules of a zone; no name is UTC."""
    return ZoneInfo(name or "UTC")
