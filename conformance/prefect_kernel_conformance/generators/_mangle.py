"""Good bodies with one or two things wrong, at any depth: what `_bad_input` tries field by field, here by chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from random import Random
from typing import Any

from ..script import Ref, Script
from ..sequences._bad_input import NO_ID, WRONG

# Long texts are left to the sequences: thousands of them would only fill the logs.
VALUES: tuple[Any, ...] = (
    *(value for value in WRONG if not isinstance(value, str) or len(value) < 100), NO_ID, "2026-03-01T12:00:00Z", 1, 5,
    -(2**31), 2**31, 2**63, 1e300, "0", "5", "1.5", "yes", " ", "a" * 300, "A", "ü", "x\u0000y", [None, 1], [{}],
    {"a": None}, {"any_": []}, "2026-02-30T00:00:00Z", "2026-03-01", "12:00",
)  # fmt: skip

Place = tuple[Any, Any]


def mangled(rng: Random, good: Any) -> Any:
    """The value with one or two of its parts wrong, missing, or one too many."""
    made = deepcopy(good)
    for _ in range(rng.choice([1, 1, 1, 2])):
        places = list(_places(made))
        if not places or rng.random() < 0.02:
            return _value(rng)
        _spoil(rng, *rng.choice(places))
    return made


def _places(value: Any) -> Iterator[Place]:
    """Each member of each object and list: (what holds it, its key)."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield value, key
            yield from _places(item)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield value, position
            yield from _places(item)


def _value(rng: Random) -> Any:
    return deepcopy(rng.choice(VALUES))


def _spoil(rng: Random, holder: Any, key: Any) -> None:
    match rng.randrange(10):
        case 0:
            del holder[key]
        case 1:
            holder[key] = [holder[key]]
        case 2 if isinstance(holder, dict):
            holder[rng.choice(["unknown", "", "id", "Name", "created"])] = _value(rng)
        case 2:
            holder.append(_value(rng))
        case 3 if isinstance(holder[key], str) and holder[key].isascii():
            holder[key] = rng.choice([holder[key].upper(), f" {holder[key]} ", holder[key][:1], f"{holder[key]}/"])
        case 4 if isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            number = holder[key]
            holder[key] = rng.choice([str(number), float(number), number + 0.5, -number, number == 1, number * 10**9])
        case _:
            holder[key] = _value(rng)


def mangle(
    s: Script, rng: Random, endpoints: Mapping[tuple[str, str], Any], **options: Any
) -> list[tuple[str, str, Ref]]:
    """A few requests, each to one of the endpoints (method and path, with a good body), with a mangled body.

    Gives the method, the path and the answer of each.
    """
    sent = []
    for _ in range(rng.randrange(3, 9)):
        method, path = rng.choice(sorted(endpoints))
        sent.append((method, path, s.request(method, path, mangled(rng, endpoints[method, path]), **options)))
    return sent
