"""Random block types: made, changed, filtered and deleted; with something wrong in them now and then."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences._make import block_schema
from ._mangle import mangle

TEXTS = (None, "", "text", "a < b & c", "&lt;b&gt;", "ü ✓", "x" * 300, "```python\nx > 1\n```")
URLS = (None, "https://x/logo.png", " https://x/y ", "no url", "")
CAPABILITIES = ("x", "y", "z")


def _members(rng: Random) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, values in (
        ("logo_url", URLS), ("documentation_url", URLS), ("description", TEXTS), ("code_example", TEXTS),
    ):  # fmt: skip
        if rng.random() < 0.5:
            body[name] = rng.choice(values)
    return body


@generator(weight=2)
def lives(s: Script, rng: Random) -> None:
    """A few types with schemas come and go."""
    made: list[Ref] = []
    for _ in range(rng.randrange(4, 12)):
        letter = rng.choice("abc")
        match rng.randrange(8) if made else 0:
            case 0 | 1:
                # Lists are ordered by name, which several may have: here nobody has that of another.
                slug = rng.choice([letter, "x"])
                body = {"name": s.name(f"Type {letter} {slug}"), "slug": s.name(f"type-{slug}")}
                made.append(s.post("/block_types/", {**body, **_members(rng)}))
            case 2 | 3:
                s.patch(f"/block_types/{rng.choice(made)['id']}", _members(rng))
            case 4:
                s.get(f"/block_types/slug/{s.name(f'type-{letter}')}")
            case 5:
                block_schema(s, rng.choice(made), capabilities=rng.sample(CAPABILITIES, rng.randrange(3)))
            case 6 if rng.random() < 0.5:
                s.delete(f"/block_types/{rng.choice(made)['id']}")
            case _:
                _list(s, rng)
    _list(s, rng)


def _list(s: Script, rng: Random) -> None:
    mine: dict[str, Any] = {"name": {"like_": s.name(rng.choice(["", "", "Type a"]))}}
    if rng.random() < 0.3:
        mine["slug"] = {"any_": [s.name(f"type-{letter}") for letter in rng.sample("abcx", 2)]}
    body: dict[str, Any] = {"block_types": mine}
    if rng.random() < 0.3:
        capabilities = rng.sample(CAPABILITIES, rng.randrange(3))
        body["block_schemas"] = {"block_capabilities": {"all_": capabilities}}
    if rng.random() < 0.4:
        body |= {"limit": rng.choice([0, 1, 2, 200]), "offset": rng.choice([0, 1])}
    s.post("/block_types/filter", body)


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    good = {
        "name": s.name("Wrong"), "slug": s.name("wrong"), "logo_url": "https://x", "documentation_url": "https://x",
        "description": "d", "code_example": "c",
    }  # fmt: skip
    made = s.post("/block_types/", {"name": s.name("Other"), "slug": s.name("other")})
    mangle(s, rng, {("POST", "/block_types/"): good, ("PATCH", f"/block_types/{made['id']}"): {
        name: value for name, value in good.items() if name not in ("name", "slug")
    }})  # fmt: skip
    s.get(f"/block_types/{made['id']}")
