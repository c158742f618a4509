"""Random variables: values of every kind, changes, and filters over the case's own."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Script, generator
from ..sequences._bad_input import OTHERS_ROWS
from ._mangle import mangle

TAGS = ("a", "b", "c", "per%cent", "ü")
LEAVES = (None, "", "5", "text", "ü ✓", 'a"\\b', 0, -3, 2**40, 1.5, 1e-9, True, False, [], {}, "x" * 300)


def _value(rng: Random, depth: int = 0) -> Any:
    if depth < 2 and rng.random() < 0.3:
        if rng.random() < 0.5:
            return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
        return {key: _value(rng, depth + 1) for key in rng.sample(["a", "b", "ü", ""], rng.randrange(4))}
    return rng.choice(LEAVES)


def _tags(rng: Random) -> list[str]:
    return rng.sample(TAGS, rng.choice([0, 0, 1, 2]))


@generator
def lives(s: Script, rng: Random) -> None:
    """A few variables are made, changed, listed and deleted."""
    names = [s.name(f"v-{number}") for number in range(rng.randrange(2, 6))]
    ids = [s.post("/variables/", {"name": name, "value": _value(rng), "tags": _tags(rng)})["id"] for name in names]
    for _ in range(rng.randrange(2, 7)):
        number = rng.randrange(len(names))
        path = rng.choice([f"/variables/name/{names[number]}", f"/variables/{ids[number]}"])
        what = rng.random()
        if what < 0.45:
            changes: dict[str, Any] = {}
            if rng.random() < 0.7:
                changes["value"] = _value(rng)
            if rng.random() < 0.4:
                changes["tags"] = _tags(rng)
            if rng.random() < 0.2:
                changes["name"] = rng.choice([*names, s.name("renamed"), "Bad Name"])
            s.patch(path, changes)
        elif what < 0.55:
            s.delete(path)
        elif what < 0.75:
            s.get(path)
        else:
            _list(s, rng, names)
    _list(s, rng, names)


def _list(s: Script, rng: Random, names: list[str]) -> None:
    variables: dict[str, Any] = {"name": {"any_": rng.sample(names, rng.randrange(1, len(names) + 1))}}
    if rng.random() < 0.6:
        variables["tags"] = rng.choice(
            [
                {"all_": _tags(rng)},
                {"is_null_": rng.random() < 0.5},
                {"operator": "or_", "all_": ["a"], "is_null_": True},
            ]
        )
    body: dict[str, Any] = {"variables": variables, "sort": rng.choice(["NAME_ASC", "NAME_DESC", "CREATED_DESC"])}
    if rng.random() < 0.4:
        body |= {"limit": rng.choice([0, 1, 2, 200]), "offset": rng.choice([0, 1, 3])}
    s.post("/variables/filter", body)
    s.post("/variables/count", {"variables": variables})


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    name = s.name("v")
    s.post("/variables/", {"name": name, "value": 1})
    mine = {"variables": {"name": {"any_": [name]}, "tags": {"is_null_": False, "all_": ["a"]}}, "limit": 3}
    whole = {"name": s.name("w"), "value": {"a": [1]}, "tags": ["a", "b"]}
    mangle(s, rng, {
        ("POST", "/variables/"): whole,
        ("PATCH", f"/variables/name/{name}"): {"value": "x", "tags": ["a"]},
        ("POST", "/variables/filter"): {**mine, "offset": 0, "sort": "NAME_ASC"},
        ("POST", "/variables/count"): mine,
    }, ignore=OTHERS_ROWS)  # fmt: skip
    s.get(f"/variables/name/{name}")
