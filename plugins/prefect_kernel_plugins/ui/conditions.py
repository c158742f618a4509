"""What the headers of a request ask of a file."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")
_NAVIGATIONS = ("text/html", "application/xhtml+xml")


def is_navigation(accept: str) -> bool:
    """Whether a page is wanted, so that a path which is no file is a page of the interface."""
    for item in accept.lower().split(","):
        kind, _, parameters = item.partition(";")
        if kind.strip() in _NAVIGATIONS and not re.search(r"\bq\s*=\s*0(\.0*)?\s*(;|$)", parameters):
            return True
    return False


def opens_a_page(accept: str, mode: str | None, destination: str | None) -> bool:
    """Whether a browser opens a page, which may be sent on to the version of the interface that it prefers."""
    return mode == "navigate" or destination in ("document", "iframe") or "text/html" in accept.lower()


def cookie(header: str | None, name: str) -> str | None:
    """The value of a cookie."""
    for pair in (header or "").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value.strip('"')
    return None


def is_fresh(none_match: str | None, modified_since: str | None, tag: str, modified: float) -> bool:
    """Whether the client has this already."""
    if none_match is not None:
        tags = [one.strip().removeprefix("W/") for one in none_match.split(",")]
        return none_match.strip() == "*" or tag in tags
    if modified_since is not None:
        try:
            return parsedate_to_datetime(modified_since).timestamp() >= int(modified)
        except (ValueError, TypeError, OverflowError):
            return False
    return False


def part(asked: str | None, size: int) -> tuple[int, int] | None:
    """The (first, beyond last) byte that is asked for; None for the whole, and an empty range for what is not there."""
    match = _RANGE.match(asked or "")
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    start, end = int(first), min(int(last) + 1 if last else size, size)
    return (start, end) if start < end else (0, 0)
