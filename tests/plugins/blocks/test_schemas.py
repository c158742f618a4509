"""Block schemas: checksums, nesting, deletion."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from prefect_kernel.errors import BadRequest
from prefect_kernel.testing import KernelUnderTest
from prefect_kernel_plugins.blocks.checksums import checksum

from .support import made


def hashed(fields: Any) -> str:
    """The checksum of fields that need no preparation."""
    return "sha256:" + hashlib.sha256(json.dumps([[fields], {}], sort_keys=True).encode()).hexdigest()


def test_what_counts_for_a_checksum() -> None:
    """Secret fields and definitions of blocks do not; definitions that are needed do."""
    a, b = {"title": "A", "x": {"$ref": "#/definitions/B"}}, {"title": "B"}
    block = {"title": "C", "block_type_slug": "c"}
    uses = {"p": [{"$ref": "#/definitions/A"}, {"$ref": "#/definitions/C"}]}
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"a": 1, "secret_fields": ["a"], "b": {"secret_fields": []}}, {"a": 1, "b": {}}),
        ({"b": [{"secret_fields": 1}]}, {"b": [{"secret_fields": 1}]}),
        ({**uses, "definitions": {"A": a, "B": b, "C": block}}, {**uses, "definitions": {"A": a, "B": b}}),
        ({"p": {"$ref": "#/definitions/C"}, "definitions": {"C": block}}, {"p": {"$ref": "#/definitions/C"}}),
        ({"definitions": {}}, {"definitions": {}}),
        ({"ü": "✓"}, {"ü": "✓"}),
    ]
    assert [checksum(given) for given, _ in cases] == [hashed(counts) for _, counts in cases]


def test_definitions_that_need_themselves() -> None:
    """They are refused, for the client cannot compute a checksum either."""
    with pytest.raises(BadRequest):
        checksum({"p": {"$ref": "#/definitions/A"}, "definitions": {"A": {"x": {"$ref": "#/definitions/A"}}}})


def test_a_schema_is_made_once(kernel: KernelUnderTest) -> None:
    """By checksum and version; the newest is found by checksum alone."""
    of = made(kernel, "/block_types/", name="X", slug="x")["id"]
    first = made(kernel, "/block_schemas/", block_type_id=of, fields={"a": 1}, version="1")
    assert first["fields"] == {"a": 1, "block_schema_references": {}}
    assert first["block_type"]["slug"] == "x"
    again = kernel.client.post("/block_schemas/", json={"block_type_id": of, "fields": {"a": 1}, "version": "1"})
    assert (again.status, again.json()["id"]) == (200, first["id"])
    kernel.clock.advance(seconds=1)
    second = made(kernel, "/block_schemas/", block_type_id=of, fields={"a": 1}, version="2")
    path = f"/block_schemas/checksum/{first['checksum']}"
    assert kernel.client.get(path).json()["id"] == second["id"]
    assert kernel.client.get(path, params={"version": "1"}).json()["id"] == first["id"]
    assert kernel.client.get(path, params={"version": "3"}).status == 404


def test_nested_schemas_come_back(kernel: KernelUnderTest) -> None:
    """What is nested is made from its definition, and put together again from its own rows."""
    for slug in ("outer", "middle", "inner"):
        made(kernel, "/block_types/", name=slug, slug=slug)
    types = {slug: kernel.client.get(f"/block_types/slug/{slug}").json()["id"] for slug in ("outer", "middle", "inner")}
    unknown = "sha256:unknown"
    inner = {"title": "Inner", "block_type_slug": "inner", "block_schema_references": {}}
    middle = {
        "title": "Middle",
        "block_type_slug": "middle",
        "properties": {"in": {"$ref": "#/definitions/Inner"}},
        "block_schema_references": {"in": {"block_type_slug": "inner", "block_schema_checksum": unknown}},
    }
    fields = {
        "title": "Outer",
        "properties": {
            "one": {"$ref": "#/definitions/Middle"},
            "either": {"anyOf": [{"$ref": "#/definitions/Inner"}, {"$ref": "#/definitions/Middle"}]},
            "plain": {"$ref": "#/definitions/Plain"},
        },
        "definitions": {"Middle": middle, "Inner": inner, "Plain": {"title": "Plain"}},
        "block_schema_references": {
            "one": {"block_type_slug": "middle", "block_schema_checksum": unknown},
            "either": [
                {"block_type_slug": "inner", "block_schema_checksum": unknown},
                {"block_type_slug": "middle", "block_schema_checksum": unknown},
            ],
        },
    }
    outer = made(kernel, "/block_schemas/", block_type_id=types["outer"], fields=fields)
    assert outer["fields"] == fields
    assert outer["checksum"] == checksum(fields)
    read = kernel.client.get(f"/block_schemas/{outer['id']}").json()["fields"]
    known = {}
    for slug in ("middle", "inner"):
        body = {"block_schemas": {"block_type_id": {"any_": [types[slug]]}}}
        (schema,) = kernel.client.post("/block_schemas/filter", json=body).json()
        known[slug] = {"block_type_slug": slug, "block_schema_checksum": schema["checksum"]}
        assert schema["version"] == "non-versioned"
    assert read["block_schema_references"]["one"] == known["middle"]
    either = {one["block_type_slug"]: one for one in read["block_schema_references"]["either"]}
    assert either == known
    assert set(read["definitions"]) == {"Middle", "Inner", "Plain"}
    assert read["definitions"]["Middle"]["block_schema_references"] == {"in": known["inner"]}
    assert read["properties"] == fields["properties"]


def test_a_type_that_is_missing(kernel: KernelUnderTest) -> None:
    """Nothing of a schema is made when a type of a nested one is missing."""
    of = made(kernel, "/block_types/", name="X", slug="x")["id"]
    fields = {"block_schema_references": {"a": {"block_type_slug": "nobody", "block_schema_checksum": "x"}}}
    answer = kernel.client.post("/block_schemas/", json={"block_type_id": of, "fields": fields})
    assert answer.status == 409
    assert "block type 'nobody' was not found" in answer.json()["detail"]
    body = {"block_schemas": {"block_type_id": {"any_": [of]}}}
    assert kernel.client.post("/block_schemas/filter", json=body).json() == []


def test_capabilities(kernel: KernelUnderTest) -> None:
    """Those of any schema are listed; schemas and types are found by them."""
    of = made(kernel, "/block_types/", name="X", slug="x")["id"]
    schema = made(kernel, "/block_schemas/", block_type_id=of, fields={"a": 1}, capabilities=["fly", "swim"])
    assert {"fly", "swim", "read-path"} <= set(kernel.client.get("/block_capabilities/").json())
    both = {"block_schemas": {"block_capabilities": {"all_": ["fly", "swim"]}}}
    assert [one["id"] for one in kernel.client.post("/block_schemas/filter", json=both).json()] == [schema["id"]]
    assert [one["slug"] for one in kernel.client.post("/block_types/filter", json=both).json()] == ["x"]
