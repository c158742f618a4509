"""Random blocks: schemas with secrets, documents in documents, changes of them."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences._bad_input import OTHERS_ROWS
from ..sequences._make import block_document, block_schema, block_type
from ._mangle import mangle

HIDDEN = "********"
KEYS = ("a", "b", "c", "token")
LEAVES = (None, "", "text", HIDDEN, 0, 1.5, True, [], ["x", {"a": 1}], {}, "ü ✓", "x" * 40)


def _value(rng: Random, depth: int = 0) -> Any:
    if depth < 2 and rng.random() < 0.35:
        return {key: _value(rng, depth + 1) for key in rng.sample(KEYS, rng.randrange(1, 4))}
    return rng.choice(LEAVES)


def _secrets(rng: Random) -> list[str]:
    paths = []
    for _ in range(rng.randrange(4)):
        path = rng.sample(KEYS, rng.choice([1, 1, 2, 3]))
        if rng.random() < 0.4:
            path[-1] = "*"
        paths.append(".".join(path))
    return paths


def _data(rng: Random, documents: list[Ref]) -> dict[str, Any]:
    data = {key: _value(rng) for key in rng.sample(KEYS, rng.randrange(4))}
    for name in rng.sample(("inner", "other", "a"), rng.choice([0, 0, 1, 2])):
        if documents:
            data[name] = {"$ref": {"block_document_id": rng.choice(documents)["id"]}}
    return data


def _kinds(s: Script, rng: Random) -> list[tuple[Ref, list[Ref]]]:
    kinds = []
    for number in range(rng.choice([1, 1, 2])):
        of = s.post("/block_types/", {"name": s.name(f"Kind {number}"), "slug": s.name(f"kind-{number}")})
        schemas = [
            s.post("/block_schemas/", {
                "block_type_id": of["id"], "version": str(version),
                "capabilities": rng.sample(["x", "y"], rng.randrange(3)),
                "fields": {"title": s.name(f"{number}-{version}"), "secret_fields": _secrets(rng)},
            })
            for version in range(rng.choice([1, 2]))
        ]  # fmt: skip
        kinds.append((of, schemas))
    return kinds


@generator
def lives(s: Script, rng: Random) -> None:
    """A few documents are made, changed, read and deleted."""
    kinds = _kinds(s, rng)
    documents: list[Ref] = []
    for number in range(rng.randrange(2, 9)):
        what = rng.random()
        if what < 0.5 or not documents:
            of, schemas = rng.choice(kinds)
            data = _data(rng, documents)
            body = {
                "name": f"d-{rng.randrange(4) if rng.random() < 0.2 else number}", "data": data,
                "block_type_id": of["id"], "block_schema_id": rng.choice(schemas)["id"],
                "is_anonymous": rng.random() < 0.15,
            }  # fmt: skip
            made = s.post("/block_documents/", body)
            if all(not isinstance(value, dict) or "$ref" not in value for value in data.values()):
                documents.append(made)  # what may have been refused is not built upon
        elif what < 0.8:
            changes: dict[str, Any] = {"data": _data(rng, documents)} if rng.random() < 0.9 else {}
            if rng.random() < 0.3:
                changes["merge_existing_data"] = rng.random() < 0.5
            if rng.random() < 0.3:
                changes["block_schema_id"] = rng.choice(rng.choice(kinds)[1])["id"]
            s.patch(f"/block_documents/{rng.choice(documents)['id']}", changes)
        elif what < 0.88:
            gone = documents.pop(rng.randrange(len(documents)))
            s.delete(f"/block_documents/{gone['id']}")
            s.get(f"/block_documents/{gone['id']}")
        else:
            _list(s, rng, kinds)
    for document in documents:
        s.get(f"/block_documents/{document['id']}?include_secrets={rng.choice(['true', 'false'])}")
    _list(s, rng, kinds)


def _list(s: Script, rng: Random, kinds: list[tuple[Ref, list[Ref]]]) -> None:
    """A random list of the case's own documents."""
    documents: dict[str, Any] = {"block_type_id": {"any_": [of["id"] for of, _ in kinds]}}
    if rng.random() < 0.4:
        documents["is_anonymous"] = rng.choice([None, {"eq_": True}, {"eq_": False}, {}])
    if rng.random() < 0.3:
        documents["name"] = rng.choice([{"any_": ["d-1", "d-2"]}, {"like_": "D-"}, {"like_": "%1"}])
    body: dict[str, Any] = {"block_documents": documents, "include_secrets": rng.random() < 0.5}
    if rng.random() < 0.3:
        body["block_types"] = {"slug": {"any_": [rng.choice(kinds)[0]["slug"]]}}
    if rng.random() < 0.3:
        body["block_schemas"] = {"block_capabilities": {"all_": rng.choice([["x"], ["x", "y"], []])}}
    # Documents of two types may have one name, whose order is the database's own.
    body["sort"] = "BLOCK_TYPE_AND_NAME_ASC"
    if rng.random() < 0.3:
        body |= {"limit": rng.choice([0, 1, 2, 200]), "offset": rng.choice([0, 1, 2])}
    s.post("/block_documents/filter", body)
    s.post("/block_documents/count", {key: value for key, value in body.items() if key.startswith("block_")})


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    of = block_type(s)
    schema = block_schema(s, of, {"title": s.name("S"), "secret_fields": ["token"], "properties": {}})
    made = block_document(s, of, schema, {"token": "t", "a": 1})
    whole = {
        "name": s.name("d"), "data": {"token": "x", "a": {"b": [1]}}, "block_type_id": of["id"],
        "block_schema_id": schema["id"], "is_anonymous": False,
    }  # fmt: skip
    mine = {"block_documents": {"id": {"any_": [made["id"]]}, "is_anonymous": {"eq_": False}}, "limit": 2}
    mangle(s, rng, {
        ("POST", "/block_documents/"): whole,
        ("PATCH", f"/block_documents/{made['id']}"): {"data": {"a": 2}, "merge_existing_data": True},
        ("POST", "/block_documents/filter"): {**mine, "include_secrets": True, "offset": 0, "sort": "NAME_ASC"},
        ("POST", "/block_documents/count"): mine,
    }, ignore=OTHERS_ROWS)  # fmt: skip
    s.get(f"/block_documents/{made['id']}?include_secrets=true")
