"""Random block schemas: what counts for their checksums, and what is nested in them."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator

NUMBERS = (0, -1, 1.5, 1e-9, 2**53, 12345678901, 1e16, -0.0)
# Where a schema is read, the order of the references of one field is the database's own.
UNIONS = tuple(f"body.fields.*block_schema_references.{name}" for name in ("one", "two", "three"))
TEXTS = ("", "text", "ü ✓", "\U0001f4a5", 'a"\\b', "\n\t")


def _plain(rng: Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth < 3 and kind < 0.35:
        keys = rng.sample(["title", "type", "x", "ü", "secret_fields", "properties"], rng.randrange(4))
        return {key: _plain(rng, depth + 1) for key in keys}
    if depth < 3 and kind < 0.5:
        return [_plain(rng, depth + 1) for _ in range(rng.randrange(3))]
    return rng.choice([*NUMBERS, *TEXTS, None, True, False])


@generator
def nested(s: Script, rng: Random) -> None:
    """Up to four schemas, each with any of those before it, or with ones that are made from definitions."""
    made: list[tuple[Ref, Ref, dict[str, Any]]] = []
    for number in range(rng.randrange(1, 5)):
        of = s.post("/block_types/", {"name": s.name(f"Type {number}"), "slug": s.name(f"type-{number}")})
        title = s.name(f"Schema {number}")
        fields: dict[str, Any] = {"title": title, "block_type_slug": of["slug"], "more": _plain(rng)}
        definitions: dict[str, Any] = {}
        references: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        for name in rng.sample(["one", "two", "three"], rng.randrange(3)):
            chosen = rng.sample(made, min(len(made), rng.choice([1, 1, 2])))
            entries, strings = [], []
            for its_type, its_schema, its_fields in chosen:
                known = rng.random() < 0.7
                checksum = f"{its_schema['checksum']}" if known else "sha256:unknown"
                entries.append({"block_schema_checksum": checksum, "block_type_slug": its_type["slug"]})
                strings.append({"$ref": f"#/definitions/{its_fields['title']}"})
                definitions[its_fields["title"]] = {
                    key: value for key, value in its_fields.items() if key != "definitions"
                }
                definitions |= its_fields.get("definitions", {})
            if entries:
                references[name] = entries if len(entries) > 1 else entries[0]
                properties[name] = strings[0] if len(strings) == 1 else {"anyOf": strings}
        if rng.random() < 0.4:
            definitions["Plain"] = {"title": "Plain", "x": {"$ref": "#/definitions/Deeper"}}
            definitions["Deeper"] = {"title": "Deeper", "secret_fields": ["x"]}
            properties["plain"] = {"$ref": "#/definitions/Plain"}
        fields["properties"] = properties
        if references or rng.random() < 0.5:
            fields["block_schema_references"] = references
        if definitions:
            fields["definitions"] = definitions
        body = {"block_type_id": of["id"], "fields": fields, "capabilities": rng.sample(["r", "w"], rng.randrange(3))}
        if rng.random() < 0.5:
            body["version"] = rng.choice(["1", "2"])
        schema = s.post("/block_schemas/", body)
        made.append((of, schema, fields))
        s.get(f"/block_schemas/{schema['id']}", unordered=UNIONS)
        if rng.random() < 0.4:
            s.get(f"/block_schemas/checksum/{schema['checksum']}", unordered=UNIONS)
    s.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [of["id"] for of, _, _ in made]}}})
    if rng.random() < 0.3:
        s.delete(f"/block_schemas/{rng.choice(made)[1]['id']}")
        s.get(f"/block_schemas/{made[-1][1]['id']}", unordered=UNIONS)
