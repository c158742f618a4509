"""Compares what two servers said: ids and times by consistent renaming, everything else as it stands.

An id of the reference must always answer to the same id of the kernel, and the other way round. A time may differ by
the tolerance; times that are equal on the reference (a start time and the timestamp of its state, say) must be equal on
the kernel. The order of lists counts; the order of keys does not.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

UUID_PATTERN = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
TIME_PATTERN = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"
TOKEN = re.compile(f"(?P<id>{UUID_PATTERN})|(?P<time>{TIME_PATTERN})")
UUID_ONLY = re.compile(f"^{UUID_PATTERN}$")
GENERATED_NAME = re.compile(r"^[a-z]+(?:-[a-z]+)+$")

NAME_KEYS = {"name", "prefect.resource.name", "prefect.name", "flow_run_name"}
DURATION_KEYS = {
    "total_run_time", "estimated_run_time", "estimated_start_time_delta", "sum_estimated_run_time",
    "sum_estimated_lateness", "retry-after", "delay_seconds", "avg_slot_occupancy_seconds",
}  # fmt: skip
UNORDERED_KEYS = {"pause_keys", "after", "expect", "for_each"}  # sets
# These differ by a hair between two columns on one server and not on the other, without meaning anything.
LOOSE_TIME_KEYS = {"created", "updated", "received", "recorded"}
TOLERANCE_SECONDS = 5.0


@dataclass(frozen=True)
class Difference:
    """One place where the answers are not the same."""

    where: str
    reference: Any
    kernel: Any

    @property
    def place(self) -> str:
        """Where, without positions in lists: differences at the same place are of one kind."""
        return _anywhere(TOKEN.sub("*", self.where))


ABSENT = "(absent)"


def _anywhere(where: str) -> str:
    """A place without positions in lists."""
    return re.sub(r"\[\d+\]", "[]", where)


class Matcher:
    """The renaming of one playing of one case."""

    def __init__(self, tolerance: float = TOLERANCE_SECONDS) -> None:
        self.tolerance = tolerance
        self.all_close = False
        self.id_kinds_matter = True
        self.ids: dict[str, str] = {}
        self._ids_back: dict[str, str] = {}
        self._times: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._names_back: dict[str, str] = {}
        self._found: list[Difference] = []
        self._unordered: list[str] = []

    def compare(self, where: str, reference: Any, kernel: Any, unordered: tuple[str, ...] = ()) -> list[Difference]:
        """The differences between two values. `unordered`: globs over the places of lists whose order is chance."""
        self._found = []
        self._unordered = [_anywhere(place).replace("[]", "[[][]]") for place in unordered]
        self._value(where, "", reference, kernel)
        return self._found

    def _differ(self, where: str, reference: Any, kernel: Any) -> None:
        self._found.append(Difference(where, reference, kernel))

    def _value(self, where: str, key: str, reference: Any, kernel: Any) -> None:
        if isinstance(reference, dict) and isinstance(kernel, dict):
            self._object(where, reference, kernel)
        elif isinstance(reference, list) and isinstance(kernel, list):
            self._list(where, key, reference, kernel)
        elif isinstance(reference, str) and isinstance(kernel, str):
            if key == "next_page":
                self._value(where, "", _opened_page(reference), _opened_page(kernel))
            else:
                self._string(where, key, reference, kernel)
        elif type(reference) is not type(kernel):
            self._differ(where, reference, kernel)
        elif isinstance(reference, int | float) and not isinstance(reference, bool):
            close = (self.all_close or key in DURATION_KEYS) and abs(reference - kernel) <= self.tolerance
            if reference != kernel and not close:
                self._differ(where, reference, kernel)
        elif reference != kernel:
            self._differ(where, reference, kernel)

    def _object(self, where: str, reference: dict[str, Any], kernel: dict[str, Any]) -> None:
        renamed = {}
        for key in kernel:
            back = self._ids_back.get(key, key) if UUID_ONLY.match(key) else key
            renamed[back] = kernel[key]
        ours, theirs = [k for k in reference if k not in renamed], [k for k in renamed if k not in reference]
        if len(ours) == len(theirs) and all(UUID_ONLY.match(k) for k in (*ours, *theirs)):
            # Keys that are ids and were not seen before: paired in order.
            for one, other in zip(ours, theirs, strict=True):
                self._string(f"{where}.{one}", "", one, other)
                renamed[one] = renamed.pop(other)
            ours = theirs = []
        for key, value in reference.items():
            if key in renamed and _drawn(key, value, renamed[key]) and _owner(key, reference):
                if self._names_differ(key, reference, renamed):
                    self._differ(f"{where}.{key}", value, renamed[key])
            elif key in renamed:
                self._value(f"{where}.{key}", key, value, renamed[key])
        for key in ours:
            self._differ(f"{where}.{key}", reference[key], ABSENT)
        for key in theirs:
            self._differ(f"{where}.{key}", ABSENT, renamed[key])

    def _list(self, where: str, key: str, reference: list[Any], kernel: list[Any]) -> None:
        if len(reference) != len(kernel):
            self._differ(f"{where}.length", len(reference), len(kernel))
            return
        if key in UNORDERED_KEYS or any(fnmatchcase(_anywhere(where), place) for place in self._unordered):
            reference = sorted(reference, key=lambda item: _sort_key(item, {one: one for one in self.ids}))
            kernel = sorted(kernel, key=lambda item: _sort_key(item, self._ids_back))
        for position, (one, other) in enumerate(zip(reference, kernel, strict=True)):
            self._value(f"{where}[{position}]", key, one, other)

    def _string(self, where: str, key: str, reference: str, kernel: str) -> None:
        if reference == kernel:
            for match in TOKEN.finditer(reference):
                if match["id"]:
                    self.ids.setdefault(reference[match.start() : match.end()], match[0])
                    self._ids_back.setdefault(match[0], match[0])
            return
        if TOKEN.sub(_kind, reference) == TOKEN.sub(_kind, kernel):
            pairs = zip(TOKEN.finditer(reference), TOKEN.finditer(kernel), strict=True)
            if all(self._token(key, one, other) for one, other in pairs):
                return
        elif key in NAME_KEYS and GENERATED_NAME.match(reference) and GENERATED_NAME.match(kernel):
            if _pair(self._names, self._names_back, reference, kernel):
                return
        elif key in DURATION_KEYS and _numbers_close(reference, kernel, self.tolerance):
            return
        self._differ(where, reference, kernel)

    def _names_differ(self, key: str, reference: dict[str, Any], kernel: dict[str, Any]) -> bool:
        """Whether a name that was drawn by lot is another than before; of hundreds of things two may have the same."""
        one, other = reference[key], kernel[key]
        first, second = (f"{_owner(key, thing)} {thing[key]}" for thing in (reference, kernel))
        return self._names.setdefault(first, other) != other or self._names_back.setdefault(second, one) != one

    def _token(self, key: str, reference: re.Match[str], kernel: re.Match[str]) -> bool:
        one, other = reference[0], kernel[0]
        if reference.lastgroup == "id":
            # Which kind of id the server makes can be seen from outside, but not for rows that no route shows.
            same_version = one[14] == other[14] or not self.id_kinds_matter
            return same_version and _pair(self.ids, self._ids_back, one, other)
        if one == other:
            return True
        if _shape(one) != _shape(other) or abs(_seconds(one) - _seconds(other)) > self.tolerance:
            return False
        if key in LOOSE_TIME_KEYS:
            return True
        return self._times.setdefault(one, other) == other


def _drawn(key: str, reference: Any, kernel: Any) -> bool:
    """Whether these are two names that the servers have made up."""
    texts = isinstance(reference, str) and isinstance(kernel, str) and reference != kernel
    return texts and key in NAME_KEYS and all(map(GENERATED_NAME.match, (reference, kernel)))


def _owner(key: str, thing: dict[str, Any]) -> str:
    """The id of what has the name; nothing where it is not said."""
    id = thing.get("flow_run_id" if key == "flow_run_name" else "id") or thing.get("prefect.resource.id")
    found = re.search(UUID_PATTERN, str(id))
    return found[0] if found else ""


def _pair(forward: dict[str, str], back: dict[str, str], one: str, other: str) -> bool:
    return forward.setdefault(one, other) == other and back.setdefault(other, one) == one


def _opened_page(link: str) -> Any:
    """A link to a page with its token read: JSON, twice in base64."""
    head, found, token = link.partition("page-token=")
    if not found:
        return link
    try:
        return {"link": head, "token": json.loads(base64.b64decode(base64.b64decode(unquote(token))))}
    except ValueError:
        return link


def _kind(token: re.Match[str]) -> str:
    return f"<{token.lastgroup}>"


def _sort_key(value: Any, known: dict[str, str]) -> str:
    """What puts equal things of both sides at the same place: ids count as far as they are known already."""
    text = json.dumps(_steady(value), sort_keys=True, default=str)
    return TOKEN.sub(lambda token: known.get(token[0], "*"), text)


def _steady(value: Any, key: str = "") -> Any:
    """The value without what is measured or made up."""
    if isinstance(value, dict):
        return {name: _steady(item, name) for name, item in value.items() if name not in DURATION_KEYS}
    if isinstance(value, list):
        return [_steady(item) for item in value]
    if isinstance(value, str) and key in NAME_KEYS and GENERATED_NAME.match(value):
        return "*"
    return value


def _shape(text: str) -> tuple[str, str]:
    """The separator and the zone. A fraction of six digits is left out, since it is absent when it is zero."""
    return text[10], re.sub(r"\.\d{6}(?!\d)", "", text[19:])


def _seconds(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return float("inf")
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _numbers_close(reference: str, kernel: str, tolerance: float) -> bool:
    try:
        return abs(float(reference) - float(kernel)) <= tolerance
    except ValueError:
        return False
