"""Random values against random schemas, with placeholders in them."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Script, generator
from ..sequences.ui_schemas import GOOD, PATH, SCHEMA
from ._mangle import mangle, mangled

NAMES = ("a", "b", "c")
LEAVES = (None, True, 0, 1, 5, -3, 1.5, "", "a", "abc", "ABC", "2026-03-01T12:00:00Z", [], {}, [1, "a"], {"a": 1})
TEMPLATES = ("{{ x }}", "{{ 1 + 1 }}", "{{ x", "{% for a in b %}{{ a }}{% endfor %}", "", "plain")


def _schema(rng: Random, depth: int = 0) -> dict[str, Any]:
    kinds = ["string", "integer", "number", "boolean", "null", "any", "enum"]
    if depth < 3:
        kinds += ["object", "object", "array", "tuple", "anyOf", "allOf", "ref"]
    match rng.choice(kinds):
        case "string":
            options = ({}, {"minLength": 2}, {"maxLength": 2}, {"pattern": "^[a-z]+$"}, {"format": "date-time"})
            return {"type": "string", **rng.choice(options)}
        case "integer" | "number" as kind:
            options = ({}, {"minimum": 1}, {"exclusiveMaximum": 5}, {"multipleOf": 2})
            return {"type": kind, **rng.choice(options)}
        case "object":
            return _object(rng, depth + 1)
        case "array":
            more = rng.choice(({}, {"minItems": 1}, {"maxItems": 1}, {"uniqueItems": True}))
            return {"type": "array", "items": _schema(rng, depth + 1), **more}
        case "tuple":
            items = [_schema(rng, depth + 1) for _ in range(rng.randrange(1, 3))]
            return {"type": "array", rng.choice(["items", "prefixItems"]): items}
        case "anyOf" | "allOf" as word:
            return {word: [_schema(rng, depth + 1) for _ in range(2)]}
        case "ref":
            return {"$ref": "#/definitions/Shared"}
        case "enum":
            return {"enum": rng.sample([1, "a", "abc", None, True], 2)}
        case "any":
            return {}
        case kind:
            return {"type": kind}


def _object(rng: Random, depth: int) -> dict[str, Any]:
    names = rng.sample(NAMES, rng.randrange(1, 4))
    made: dict[str, Any] = {"type": "object", "properties": {name: _schema(rng, depth) for name in names}}
    if rng.random() < 0.5:
        made["required"] = rng.sample(NAMES, rng.randrange(3))
    if rng.random() < 0.2:
        made["additionalProperties"] = rng.choice([False, True, {"type": "integer"}])
    if rng.random() < 0.2:
        made["title"] = rng.choice(["T", "a"])
    return made


def _value(s: Script, rng: Random, depth: int = 0) -> Any:
    chance = rng.random()
    if chance < 0.12:
        return rng.choice([
            {"__prefect_kind": "json", "value": rng.choice(["5", '"x"', "{", "[1]", '{"a": 1}', "null"])},
            {"__prefect_kind": "jinja", "template": rng.choice(TEMPLATES)},
            {"__prefect_kind": "workspace_variable", "variable_name": s.name(rng.choice(["known", "unknown"]))},
            {"__prefect_kind": "none", "value": rng.choice(LEAVES)}, {"__prefect_kind": rng.choice(["other", "json"])},
        ])  # fmt: skip
    if depth < 3 and chance < 0.45:
        return {name: _value(s, rng, depth + 1) for name in rng.sample(NAMES, rng.randrange(4))}
    if depth < 3 and chance < 0.6:
        return [_value(s, rng, depth + 1) for _ in range(rng.randrange(3))]
    return rng.choice(LEAVES)


@generator(weight=3)
def values(s: Script, rng: Random) -> None:
    """A few values against one schema."""
    s.seed("variable", name=s.name("known"), value=rng.choice([5, "abc", {"a": 1}]), tags=[])
    schema = _object(rng, 0)
    schema["definitions"] = {"Shared": _object(rng, 2)}
    for _ in range(rng.randrange(2, 6)):
        given = {name: _value(s, rng, 1) for name in rng.sample(NAMES, rng.randrange(4))}
        s.post(PATH, {"schema": schema, "values": given})


@generator
def near(s: Script, rng: Random) -> None:
    """Good values and a good schema, with something wrong in them."""
    full = {**GOOD, "count": 2, "tags": ["a"], "pair": [1, "x"], "list": [{"a": 1, "b": [1]}], "any": None}
    for _ in range(rng.randrange(3, 8)):
        values = mangled(rng, full)
        s.post(PATH, {"schema": SCHEMA, "values": values if isinstance(values, dict) else {"name": values}})
    mangle(s, rng, {("POST", PATH): {"schema": SCHEMA, "values": GOOD}})
