"""Values of forms, checked against a schema."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import bad_bodies, bad_fields, wrong_methods

PATH = "/ui/schemas/validate"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "pattern": "^[a-z]"},
        "count": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "pair": {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]},
        "inner": {"$ref": "#/definitions/Inner"},
        "when": {"type": "string", "format": "date-time"},
        "list": {"type": "array", "items": {"$ref": "#/definitions/Inner"}},
        "any": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["name", "inner"],
    "definitions": {
        "Inner": {
            "title": "Inner",
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "number"}}},
            "required": ["a"],
        }
    },
}
GOOD = {"name": "abc", "inner": {"a": 1}}


@sequence(independent=True)
def values(s: Script) -> None:
    """Values that conform, and values that do not."""
    for given in (
        GOOD, {}, {"name": "A"}, {**GOOD, "count": 0}, {**GOOD, "count": "x"}, {**GOOD, "tags": ["a", 1, None]},
        {**GOOD, "tags": ["a", "b", "c"]}, {**GOOD, "pair": ["x", 1]}, {**GOOD, "pair": [1, "x"]},
        {"name": "", "inner": {}}, {**GOOD, "inner": {"a": "x", "b": [1, "y", "z"]}}, {**GOOD, "inner": None},
        {**GOOD, "list": [{"a": 1}, {}, {"a": "x", "b": ["c"]}]}, {**GOOD, "any": "x"}, {**GOOD, "any": None},
        {**GOOD, "when": "x"}, {**GOOD, "count": None}, {**GOOD, "unknown": 1},
    ):  # fmt: skip
        s.post(PATH, {"schema": SCHEMA, "values": given})


@sequence
def placeholders(s: Script) -> None:
    """`__prefect_kind` objects, good and bad."""
    s.seed("variable", name=s.name("number"), value=5, tags=[])
    s.seed("variable", name=s.name("text"), value="abc", tags=[])
    for given in (
        {"__prefect_kind": "json", "value": "5"}, {"__prefect_kind": "json", "value": '"x"'},
        {"__prefect_kind": "json", "value": "{"}, {"__prefect_kind": "json"}, {"__prefect_kind": "none", "value": 3},
        {"__prefect_kind": "none"}, {"__prefect_kind": "jinja", "template": "{{ x }}"},
        {"__prefect_kind": "jinja", "template": "{{ x"}, {"__prefect_kind": "jinja"},
        {"__prefect_kind": "workspace_variable", "variable_name": s.name("number")},
        {"__prefect_kind": "workspace_variable", "variable_name": s.name("text")},
        {"__prefect_kind": "workspace_variable", "variable_name": s.name("none")},
        {"__prefect_kind": "workspace_variable"}, {"__prefect_kind": "other", "value": 1},
        {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "{{"}},
    ):  # fmt: skip
        for name in ("count", "name", "when"):
            s.post(PATH, {"schema": SCHEMA, "values": {**GOOD, name: given}})
        s.post(PATH, {"schema": SCHEMA, "values": {"name": given, "inner": {"a": given, "b": [given]}}})
    s.post(PATH, {"schema": SCHEMA, "values": {"__prefect_kind": "json"}})
    loops = "".join("{% for a in b %}{% endfor %}" for _ in range(11))
    for template in (loops, "{% for a in b %}{% for c in d %}{% for e in f %}{% endfor %}{% endfor %}{% endfor %}"):
        given = {"__prefect_kind": "jinja", "template": template}
        s.post(PATH, {"schema": SCHEMA, "values": {**GOOD, "name": given}})


@sequence(independent=True)
def schemas(s: Script) -> None:
    """Schemas that are none, and odd ones."""
    for schema in (
        {}, {"type": "nothing"}, {"properties": []}, {"properties": {"a": 1}}, {"required": "a"},
        {"properties": {"a": {"$ref": "#/nowhere"}}}, {"properties": {"a": {"$ref": "http://example.invalid/x"}}},
        {"$ref": "#"}, {"definitions": {"A": {"$ref": "#/definitions/A"}}, "$ref": "#/definitions/A"},
        {"properties": {"a": {"type": "array", "items": [{"type": "string"}]}}},
        {"definitions": {"B": {"title": "B", "block_type_slug": "b", "properties": {"x": {"type": "string"}}}},
         "properties": {"a": {"$ref": "#/definitions/B"}}},
    ):  # fmt: skip
        for given in ({}, {"a": 1}, {"a": ["x"]}, {"a": {"$ref": {"block_document_id": "x"}}}):
            s.post(PATH, {"schema": schema, "values": given})


@sequence(independent=True)
def bad_input(s: Script) -> None:
    """Bodies that are none."""
    good = {"schema": SCHEMA, "values": GOOD}
    bad_bodies(s, "POST", PATH, good)
    bad_fields(s, "POST", PATH, good, ("schema", "values"))
    wrong_methods(s, PATH, ("POST",))
