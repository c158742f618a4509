"""Block schemas: create, nest, read, delete, filter."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._bad_input import (
    OTHERS_ROWS,
    WRONG,
    bad_bodies,
    bad_content_types,
    bad_fields,
    bad_ids,
    filter_bodies,
    paging,
    wrong_methods,
)
from ._make import block_schema, block_type
from .block_types import AGES

# Where one schema is read, the order of the references of one field is the database's own.
UNIONS = ("body.fields.block_schema_references.either", "body.fields.block_schema_references.some")
FILTER = {
    "block_type_id": {"any_": ([], ["00000000-0000-4000-8000-000000000000"])},
    "block_capabilities": {"all_": ([], ["nothing"], ["read-path", "nothing"])},
    "id": {"any_": ([], ["00000000-0000-4000-8000-000000000000"])},
    "version": {"any_": ([], ["nobody's"])},
    "operator": {},
    "unknown": {},
}


def _reference(schema: Ref, slug: Any) -> dict[str, Any]:
    return {"block_schema_checksum": f"{schema['checksum']}", "block_type_slug": slug}


@sequence
def create_and_read(s: Script) -> None:
    """A schema is made once per checksum and version."""
    of = block_type(s)
    fields = {
        "title": s.name("A"), "type": "object", "properties": {"a": {"type": "string", "title": "ü ✓"}, "b": {}},
        "required": ["a"], "secret_fields": ["b.c", "d.*"], "block_type_slug": of["slug"],
        "block_schema_references": {},
    }  # fmt: skip
    made = block_schema(s, of, fields, capabilities=["b", "a", "b"], version="1.0")
    block_schema(s, of, fields, capabilities=["c"], version="1.0")
    block_schema(s, of, {**fields, "secret_fields": []}, version="1.0")
    other = block_schema(s, of, fields, version="2.0")
    s.get(f"/block_schemas/{made['id']}", unordered=UNIONS)
    s.get(f"/block_schemas/checksum/{made['checksum']}", unordered=UNIONS)
    for version in ("1.0", "2.0", "3.0", ""):
        s.get(f"/block_schemas/checksum/{made['checksum']}?version={version}")
    s.get("/block_schemas/checksum/sha256:nothing")
    s.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [of["id"]]}}})
    s.delete(f"/block_schemas/{other['id']}")
    s.get(f"/block_schemas/{other['id']}")
    s.delete(f"/block_schemas/{other['id']}")
    s.post("/block_schemas/", {"block_type_id": of["id"], "fields": {"x": s.name("least")}})
    s.post("/block_schemas/", {"block_type_id": s.uuid("nobody"), "fields": {}})


@sequence
def checksums(s: Script) -> None:
    """What counts for a checksum, and how fields come back."""
    of = block_type(s)
    name = s.name("c")
    for fields in (
        {"x": name, "z": 1, "a": {"c": 1, "b": [1, 2.5, 1e300, -0.0, None, True]}},
        {"x": name, "a": {"b": [1, 2.5, 1e300, -0.0, None, True], "c": 1, "secret_fields": ["x"]}, "z": 1},
        {"x": name, "definitions": {}},
        {"x": name, "definitions": {"A": {"title": "A", "secret_fields": ["q"]}}},
        {"x": name, "p": {"$ref": "#/definitions/A"}, "definitions": {"A": {"title": "A"}, "B": {"title": "B"}}},
        {"x": name, "p": [{"$ref": "#/definitions/A"}],
         "definitions": {"A": {"$ref": "#/definitions/B"}, "B": {"title": "B"}, "C": {"block_type_slug": "c"}}},
        {"x": name, "p": {"$ref": 1}, "q": {"$ref": "#/definitions/nobody"}, "definitions": {"A": {}}},
        {"x": name, "umlaut": "größe ✓ \U0001f4a5", "n": 2**62},
        {"x": name, "block_schema_references": {}},
        {"x": name, "secret_fields": "not a list"},
    ):  # fmt: skip
        made = block_schema(s, of, fields)
        s.get(f"/block_schemas/{made['id']}", unordered=UNIONS)


@sequence
def nested(s: Script) -> None:
    """Schemas with schemas in them: those that are there, and those that are made from definitions."""
    outer, inner, other = block_type(s), block_type(s), block_type(s)
    first = block_schema(
        s, inner, {"title": s.name("Inner"), "block_type_slug": inner["slug"], "properties": {"a": {}}}
    )
    second = block_schema(s, other, {"title": s.name("Other"), "block_type_slug": other["slug"], "properties": {}})
    made = block_schema(s, outer, {
        "title": s.name("Outer"), "type": "object",
        "properties": {
            "one": {"$ref": f"#/definitions/{s.name('Inner')}"},
            "either": {"anyOf": [
                {"$ref": f"#/definitions/{s.name('Inner')}"}, {"$ref": f"#/definitions/{s.name('Other')}"},
            ]},
            "plain": {"$ref": "#/definitions/Plain"},
        },
        "definitions": {
            s.name("Inner"): {"title": s.name("Inner"), "block_type_slug": inner["slug"], "properties": {"a": {}}},
            s.name("Other"): {"title": s.name("Other"), "block_type_slug": other["slug"], "properties": {}},
            "Plain": {"title": "Plain", "type": "object"},
        },
        "block_schema_references": {
            "one": _reference(first, inner["slug"]),
            "either": [_reference(first, inner["slug"]), _reference(second, other["slug"])],
        },
    })  # fmt: skip
    s.get(f"/block_schemas/{made['id']}", unordered=UNIONS)
    s.get(f"/block_schemas/checksum/{made['checksum']}", unordered=UNIONS)
    block_schema(s, block_type(s), {
        "title": s.name("Outest"), "properties": {"deep": {"$ref": f"#/definitions/{s.name('Outer')}"}},
        "block_schema_references": {"deep": _reference(made, outer["slug"])},
    })  # fmt: skip
    s.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [outer["id"], inner["id"]]}}})
    s.rows("block_schema_reference", parent_block_schema_id=made["id"], order_by="created")
    s.delete(f"/block_schemas/{second['id']}")
    s.get(f"/block_schemas/{made['id']}", unordered=UNIONS)
    s.delete(f"/block_schemas/{first['id']}")
    s.get(f"/block_schemas/{made['id']}", unordered=UNIONS)


@sequence
def made_from_definitions(s: Script) -> None:
    """Nested schemas that nobody has registered are made, two levels deep."""
    outer, middle, inner = block_type(s), block_type(s), block_type(s)
    gone = {"block_schema_checksum": "sha256:not-there", "block_type_slug": inner["slug"]}
    middle_fields = {
        "title": "Middle", "block_type_slug": middle["slug"],
        "properties": {"in": {"allOf": [{"$ref": "#/definitions/Inner"}]}}, "block_schema_references": {"in": gone},
    }  # fmt: skip
    fields = {
        "title": s.name("Outer"), "properties": {
            "middle": {"$ref": "#/definitions/Middle"},
            "some": {"anyOf": [{"$ref": "#/definitions/Inner"}, {"$ref": "#/definitions/Middle"}]},
        },
        "definitions": {
            "Middle": middle_fields,
            "Inner": {"title": "Inner", "block_type_slug": inner["slug"], "properties": {"x": {"title": s.name("x")}}},
        },
        "block_schema_references": {
            "middle": {**gone, "block_type_slug": middle["slug"]},
            "some": [gone, {**gone, "block_type_slug": middle["slug"]}],
        },
    }  # fmt: skip
    made = block_schema(s, outer, fields)
    s.get(f"/block_schemas/{made['id']}", unordered=UNIONS)
    for of in (middle, inner):
        s.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [of["id"]]}}})
    body = {"fields": fields, "block_type_id": outer["id"], "capabilities": []}
    s.post("/block_schemas/", body, unordered=UNIONS)
    missing = {**fields, "title": s.name("Missing"), "block_schema_references": {
        "middle": {**gone, "block_type_slug": s.name("nobody")},
    }}  # fmt: skip
    block_schema(s, outer, missing)
    s.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [outer["id"]]}}})


@sequence(independent=True)
def bad_references(s: Script) -> None:
    """References that are none."""
    of, inner = block_type(s), block_type(s)
    for references in (
        [], "x", None, 1, {"a": None}, {"a": {}}, {"a": []}, {"a": "x"}, {"a": {"block_type_slug": inner["slug"]}},
        {"a": {"block_schema_checksum": "x"}}, {"a": {"block_schema_checksum": "x", "block_type_slug": inner["slug"]}},
        {"a": [{"block_schema_checksum": None, "block_type_slug": None}]},
    ):  # fmt: skip
        for definitions in ({}, {"definitions": {"A": {"title": "A"}}}, {"definitions": [1]}, {"definitions": "x"}):
            block_schema(s, of, {
                "title": s.name(f"bad-{len(s.steps)}"), "block_schema_references": references, **definitions,
            })  # fmt: skip


@sequence(independent=True)
def bad_creates(s: Script) -> None:
    """Bodies and fields that are no schema."""
    of = block_type(s)
    good = {"fields": {"x": s.name("bad")}, "block_type_id": of["id"]}
    bad_bodies(s, "POST", "/block_schemas/", good)
    bad_content_types(s, "POST", "/block_schemas/", f'{{"fields": {{}}, "block_type_id": "{s.uuid("nobody")}"}}')
    for field in ("fields", "block_type_id", "capabilities", "version", "checksum", "id"):
        for value in WRONG:
            s.post("/block_schemas/", {**good, "fields": {"x": s.name(f"bad-{len(s.steps)}")}, field: value})
    bad_fields(s, "POST", "/block_schemas/", good, ())


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    bad_ids(s, "GET", "/block_schemas/{id}")
    bad_ids(s, "DELETE", "/block_schemas/{id}")
    for path, allowed in (
        ("/block_schemas/", ("POST",)),
        ("/block_schemas/filter", ("POST",)),
        ("/block_schemas/checksum/x", ("GET",)),
        ("/block_schemas/00000000-0000-4000-8000-000000000000", ("GET", "DELETE")),
    ):
        wrong_methods(s, path, allowed)


@sequence(independent=True)
def lists(s: Script) -> None:
    """Filters, limits and offsets; the newest come first."""
    of = block_type(s)
    for number in range(4):
        block_schema(s, of, capabilities=["x", s.name("y")][: number % 3], version=str(number))
    mine = {"block_schemas": {"block_type_id": {"any_": [of["id"]]}}}
    paging(s, "/block_schemas/filter", mine)
    for more in (
        {"version": {"any_": ["1", "3"]}}, {"block_capabilities": {"all_": ["x"]}},
        {"block_capabilities": {"all_": ["x", s.name("y")]}}, {"version": {"any_": []}}, {"block_capabilities": {}},
    ):  # fmt: skip
        s.post("/block_schemas/filter", {"block_schemas": {**mine["block_schemas"], **more}})
    s.post("/block_schemas/filter", {"block_schemas": {
        "operator": "or_", "block_type_id": {"any_": [s.uuid()]}, "block_capabilities": {"all_": [s.name("y")]},
    }})  # fmt: skip
    for body in filter_bodies(FILTER):
        s.post("/block_schemas/filter", {"block_schemas": body, "limit": 3}, ignore=(*OTHERS_ROWS, *AGES))
    bad_fields(s, "POST", "/block_schemas/filter", {**mine, "limit": 2}, ("block_schemas",), ignore=OTHERS_ROWS)
    for body in ([], [1], "x", 1, True, {"block_schemas": {"operator": "or_"}}):
        s.post("/block_schemas/filter", body, ignore=OTHERS_ROWS)
    bad_content_types(s, "POST", "/block_schemas/filter", '{"limit": 0}', ignore=OTHERS_ROWS)


@sequence
def registered(s: Script) -> None:
    """What a server has from its start: the newest schema of some types, with what is nested in them."""
    for slug in ("dbt-cli-profile", "s3-bucket", "secret", "snowflake-connector", "kubernetes-credentials"):
        found = s.get(f"/block_types/slug/{slug}", ignore=AGES)
        s.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [found["id"]]}}}, ignore=AGES)
