"""Random saved searches: saved, replaced, read, deleted; with something wrong in them now and then."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences.saved_searches import CONDITION
from ._mangle import mangle

VALUES = (None, 1, -1.5, True, "x", "ü", "", [], [1, "a", None], {}, {"a": {"b": [1]}})


def _condition(rng: Random) -> dict[str, Any]:
    return {
        "object": rng.choice(["flow", "task", "x"]), "property": rng.choice(["name", "state", ""]),
        "type": rng.choice(["string", "number"]), "operation": rng.choice(["equals", "all"]),
        "value": rng.choice(VALUES),
    }  # fmt: skip


@generator(weight=2)
def lives(s: Script, rng: Random) -> None:
    """A few searches come and go."""
    made: list[Ref] = []
    for _ in range(rng.randrange(3, 10)):
        what = rng.random()
        if what < 0.6 or not made:
            body: dict[str, Any] = {"name": s.name(rng.choice("abc"))}
            if rng.random() < 0.8:
                body["filters"] = [_condition(rng) for _ in range(rng.randrange(4))]
            made.append(s.put("/saved_searches/", body))
        elif what < 0.8:
            s.get(f"/saved_searches/{rng.choice(made)['id']}")
        else:
            s.delete(f"/saved_searches/{rng.choice(made)['id']}")


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    good = {"name": s.name("a"), "filters": [CONDITION, _condition(rng)]}
    mangle(s, rng, {("PUT", "/saved_searches/"): good})
    s.rows("saved_search", columns=["name", "filters"], name=s.name("a"))
