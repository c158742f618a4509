"""Block documents: save, nest, hide secrets, change, delete, filter."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._bad_input import (
    NO_ID,
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
from ._make import block_document, block_schema, block_type

HIDDEN = "********"
FILTER = {
    "id": {"any_": ([], [NO_ID])},
    "is_anonymous": {"eq_": (True, False)},
    "block_type_id": {"any_": ([], [NO_ID])},
    "name": {"any_": ([], ["nobody"]), "like_": ("nobody", "%nobody%")},
    "operator": {},
    "unknown": {},
}


def _kind(s: Script, secrets: Any = (), **more: Any) -> tuple[Ref, Ref]:
    """A block type with a schema."""
    of = block_type(s)
    fields = {"title": s.name(f"Schema {len(s.steps)}"), "type": "object", "properties": {}, **more}
    if secrets != ():
        fields["secret_fields"] = secrets
    return of, block_schema(s, of, fields, capabilities=["read-path"])


def _ref(document: Ref) -> dict[str, Any]:
    return {"$ref": {"block_document_id": document["id"]}}


def _events(s: Script, about: Ref, total: int) -> None:
    resources = [f"prefect.block-document.{about['id']}"]
    s.post(
        "/events/filter", {"filter": {"resource": {"id": resources}, "order": "ASC"}},
        until=("total", total), ignore=("body.events[].received",),
    )  # fmt: skip


@sequence
def create_and_read(s: Script) -> None:
    """A document by its id and by its name."""
    of, schema = _kind(s)
    data = {"a": 1, "b": {"c": [1, 2.5, None, {"d": "ü ✓"}], "e": {}}, "f": "x\ny", "": True}
    made = block_document(s, of, schema, data, name="doc")
    s.get(f"/block_documents/{made['id']}")
    s.get(f"/block_documents/{made['id']}?include_secrets=true")
    s.get(f"/block_types/slug/{of['slug']}/block_documents")
    s.get(f"/block_types/slug/{of['slug']}/block_documents/name/doc")
    s.get(f"/block_types/slug/{of['slug']}/block_documents/name/nobody")
    block_document(s, of, schema, {}, name="doc")
    block_document(s, of, schema, {}, name=s.name("least"))
    s.post("/block_documents/", {"block_type_id": of["id"], "block_schema_id": schema["id"], "name": "only"})
    s.delete(f"/block_documents/{made['id']}")
    s.get(f"/block_documents/{made['id']}")
    s.delete(f"/block_documents/{made['id']}")


@sequence
def anonymous(s: Script) -> None:
    """Anonymous documents need no name, and are not listed."""
    of, schema = _kind(s)
    made = block_document(s, of, schema, {"a": 1}, name="anon", is_anonymous=True)
    nameless = s.post("/block_documents/", {
        "block_type_id": of["id"], "block_schema_id": schema["id"], "is_anonymous": True,
    }, ignore=("=body.name",))  # fmt: skip
    s.get(f"/block_documents/{made['id']}")
    s.get(f"/block_documents/{nameless['id']}", ignore=("=body.name",))
    s.get(f"/block_types/slug/{of['slug']}/block_documents")
    s.get(f"/block_types/slug/{of['slug']}/block_documents/name/anon")
    of_it = {"block_type_id": {"any_": [of["id"]]}}
    for body in ({**of_it}, {**of_it, "is_anonymous": None}, {**of_it, "is_anonymous": {"eq_": True}},
                 {**of_it, "is_anonymous": {"eq_": None}}, {**of_it, "is_anonymous": {}},
                 {**of_it, "operator": "or_"}, {**of_it, "name": {"any_": ["anon"]}}):  # fmt: skip
        s.post("/block_documents/count", {"block_documents": body}, ignore=OTHERS_ROWS if "operator" in body else ())
    s.post("/block_documents/", {"block_type_id": of["id"], "block_schema_id": schema["id"]})
    s.post("/block_documents/", {"block_type_id": of["id"], "block_schema_id": schema["id"], "name": ""})
    s.patch(f"/block_documents/{made['id']}", {"data": {"b": 2}})
    s.get(f"/block_documents/{made['id']}")


@sequence
def secrets(s: Script) -> None:
    """What is hidden, and what is not."""
    of, schema = _kind(s, ["token", "auth.password", "headers.*", "deep.a.*", "list", "nothing"])
    made = block_document(s, of, schema, {
        "token": "short", "auth": {"password": "p" * 30, "user": "u"}, "headers": {"a": "1", "b": {"c": 2, "d": None}},
        "deep": {"a": {"x": 1, "y": []}, "b": 1}, "list": [1, 2], "plain": "seen",
    })  # fmt: skip
    for more in ("", "?include_secrets=true", "?include_secrets=false"):
        s.get(f"/block_documents/{made['id']}{more}")
    s.post("/block_documents/filter", {"block_documents": {"id": {"any_": [made["id"]]}}, "include_secrets": True})
    s.post("/block_documents/filter", {"block_documents": {"id": {"any_": [made["id"]]}}})
    s.get(f"/block_types/slug/{of['slug']}/block_documents?include_secrets=true")
    for data in (
        {"token": None, "auth": None, "headers": None, "deep": None, "list": {}},
        {"token": {"a": {"b": 1}}, "auth": "text", "headers": "text", "deep": {"a": 1}, "list": ""},
        {"token": {}, "auth": {}, "headers": {}, "deep": {"a": {}}, "headers.*": 1, "auth.password": 1},
        {"token": 0, "auth": {"password": False}, "headers": [], "deep": {}}, {},
    ):  # fmt: skip
        document = block_document(s, of, schema, data)
        s.get(f"/block_documents/{document['id']}?include_secrets=true")
    everything, its_schema = _kind(s, ["*"])
    block_document(s, everything, its_schema, {"a": 1, "b": {"c": 2}})
    _events(s, made, 1)


@sequence
def update(s: Script) -> None:
    """New data is merged or replaces the old; hidden secrets that come back stay."""
    of, schema = _kind(s, ["token", "headers.*", "auth.password"])
    made = block_document(s, of, schema, {
        "token": "t", "headers": {"a": "1", "b": "2"}, "auth": {"password": "p", "user": "u"}, "plain": 1,
    })  # fmt: skip
    path = f"/block_documents/{made['id']}"
    for body in (
        {"data": {"plain": 2}}, {"data": {"token": HIDDEN, "new": 1}}, {"data": {"token": "changed"}},
        {"data": {"headers": {"a": HIDDEN, "b": "changed"}}}, {"data": {"auth": {"password": HIDDEN}}},
        {"data": {"auth": {"user": "other"}}}, {"data": {}}, {},
        {"data": {"token": HIDDEN, "only": 1}, "merge_existing_data": False},
        {"data": {"token": HIDDEN}, "merge_existing_data": False}, {"merge_existing_data": False},
        {"data": {"token": HIDDEN}}, {"data": {"token": None, "headers": None}}, {"merge_existing_data": True},
    ):  # fmt: skip
        s.patch(path, body)
        s.get(f"{path}?include_secrets=true")
    s.patch(f"/block_documents/{s.uuid()}", {"data": {}})
    _events(s, made, 15)


@sequence
def schemas(s: Script) -> None:
    """A document can go over to another schema of its type."""
    of, first = _kind(s, ["a"])
    second = block_schema(s, of, {"title": s.name("second"), "secret_fields": ["b"]}, version="2")
    other, foreign = _kind(s)
    made = block_document(s, of, first, {"a": "1", "b": "2"})
    path = f"/block_documents/{made['id']}"
    s.patch(path, {"block_schema_id": second["id"]})
    s.get(path)
    s.patch(path, {"block_schema_id": second["id"], "data": {"c": HIDDEN, "a": HIDDEN}})
    s.get(path)
    s.get(f"{path}?include_secrets=true")
    s.patch(path, {"block_schema_id": foreign["id"], "data": {"d": 1}})
    s.patch(path, {"block_schema_id": s.uuid("nobody"), "data": {"d": 1}})
    s.get(f"{path}?include_secrets=true")
    block_document(s, other, first, {}, name="odd")
    s.post("/block_documents/", {"block_type_id": of["id"], "block_schema_id": s.uuid("nobody"), "name": "x"})
    s.post("/block_documents/", {"block_type_id": s.uuid("nobody"), "block_schema_id": first["id"], "name": "x"})
    s.delete(f"/block_schemas/{second['id']}")
    s.get(path)


@sequence
def nested(s: Script) -> None:
    """Documents in documents."""
    of, schema = _kind(s, ["token"])
    inner = block_document(s, of, schema, {"token": "inner", "n": 1})
    middle = block_document(s, of, schema, {"token": "middle", "inner": _ref(inner), "again": _ref(inner)})
    outer = block_document(s, of, schema, {"middle": _ref(middle), "inner": _ref(inner), "plain": {"x": {"$ref": 1}}})
    path = f"/block_documents/{outer['id']}"
    s.get(path)
    s.get(f"{path}?include_secrets=true")
    s.post("/block_documents/filter", {"block_documents": {"block_type_id": {"any_": [of["id"]]}}})
    s.rows("block_document_reference", parent_block_document_id=middle["id"], order_by="name")
    s.patch(path, {"data": {"plain": 1}})
    s.get(path)
    s.patch(path, {"data": {"middle": _ref(middle)}})
    s.patch(path, {"data": {"middle": _ref(middle), "new": _ref(inner)}})
    s.get(path)
    s.rows("block_document_reference", parent_block_document_id=outer["id"], order_by="name")
    s.patch(f"/block_documents/{inner['id']}", {"data": {"outer": _ref(outer)}})
    s.patch(f"/block_documents/{inner['id']}", {"data": {"self": _ref(inner)}})
    s.get(f"/block_documents/{inner['id']}")
    s.delete(f"/block_documents/{inner['id']}")
    s.get(path)
    s.get(f"/block_documents/{middle['id']}")
    _events(s, outer, 4)


@sequence(independent=True)
def bad_references(s: Script) -> None:
    """References that are none."""
    of, schema = _kind(s)
    for reference in (
        None, 1, "x", [], {}, {"block_document_id": None}, {"block_document_id": NO_ID}, {"block_document_id": "x"},
        {"block_document_id": 1}, {"block_document_id": [NO_ID]}, {"block_document_id": {}}, {"id": NO_ID},
        {"block_document_id": ""}, {"block_document_id": NO_ID.replace("-", "")}, {"block_document_id": True},
    ):  # fmt: skip
        block_document(s, of, schema, {"a": {"$ref": reference}})
        made = block_document(s, of, schema, {"a": 1})
        s.patch(f"/block_documents/{made['id']}", {"data": {"a": {"$ref": reference}, "b": 1}})
        s.get(f"/block_documents/{made['id']}")


@sequence(independent=True)
def odd_schemas(s: Script) -> None:
    """Schemas whose `secret_fields` are odd."""
    for given in (["a"], ["a", "a"], [], ["a.b.c"], [""], ["."], ["*"], ["*.b"], ["a*"], ["a.*.c"]):
        of, schema = _kind(s, given)
        made = block_document(s, of, schema, {"a": {"b": {"c": "x"}, "d": 1}, "": "empty", "b": None})
        s.get(f"/block_documents/{made['id']}")
        s.patch(f"/block_documents/{made['id']}", {"data": {"a": {"b": {"c": HIDDEN}}}})
        s.get(f"/block_documents/{made['id']}?include_secrets=1")


@sequence(independent=True)
def names(s: Script) -> None:
    """Names that are none."""
    of, schema = _kind(s)
    for name in ("A", "a_b", "a b", "a/b", "é", "a.b", "-", "a\n", "a" * 500, "1", 1, True, None, []):
        block_document(s, of, schema, {}, name=name)
        block_document(s, of, schema, {}, name=name, is_anonymous=True)


@sequence
def nul_characters(s: Script) -> None:
    """A name with a character that PostgreSQL does not hold."""
    of, schema = _kind(s)
    block_document(s, of, schema, {}, name="\x00")


@sequence(independent=True)
def bad_creates(s: Script) -> None:
    """Bodies and fields that are no document."""
    of, schema = _kind(s)
    good = {"name": s.name("bad"), "data": {}, "block_type_id": of["id"], "block_schema_id": schema["id"]}
    bad_bodies(s, "POST", "/block_documents/", good)
    bad_content_types(s, "POST", "/block_documents/", "{}")
    for field in ("name", "data", "block_type_id", "block_schema_id", "is_anonymous", "id", "block_schema"):
        for number, value in enumerate(WRONG):
            body = {**good, "name": f"b-{field.replace('_', '-')}-{number}", field: value}
            s.post("/block_documents/", body, ignore=("=body.name",) if field == "is_anonymous" else ())
    bad_fields(s, "POST", "/block_documents/", good, ())


@sequence(independent=True)
def bad_updates(s: Script) -> None:
    """Bodies and fields that change no document."""
    of, schema = _kind(s)
    made = block_document(s, of, schema, {"a": 1})
    path = f"/block_documents/{made['id']}"
    bad_bodies(s, "PATCH", path, {"data": {}})
    bad_content_types(s, "PATCH", path, '{"data": {"x": 1}}')
    bad_fields(s, "PATCH", path, {"data": {"b": 1}}, ("data", "block_schema_id", "merge_existing_data", "name"))
    s.get(path)


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    bad_ids(s, "GET", "/block_documents/{id}")
    bad_ids(s, "PATCH", "/block_documents/{id}", {"data": {}})
    bad_ids(s, "DELETE", "/block_documents/{id}")
    for secrets in ("true", "1", "yes", "x", "", "0", "None", "true&include_secrets=false"):
        s.get(f"/block_documents/{NO_ID}?include_secrets={secrets}")
    for path, allowed in (
        ("/block_documents/", ("POST",)),
        ("/block_documents/filter", ("POST",)),
        ("/block_documents/count", ("POST",)),
        (f"/block_documents/{NO_ID}", ("GET", "PATCH", "DELETE")),
    ):
        wrong_methods(s, path, allowed)


@sequence(independent=True)
def lists(s: Script) -> None:
    """Filters, sorts, limits and offsets."""
    of, schema = _kind(s)
    other, its_schema = _kind(s)
    for letter in "cab":
        block_document(s, of, schema, {"x": letter}, name=s.name(f"d-{letter}"))
        block_document(s, other, its_schema, {"x": letter}, name=s.name(f"e-{letter}"))
    mine = {"block_documents": {"block_type_id": {"any_": [of["id"], other["id"]]}}}
    paging(s, "/block_documents/filter", mine)
    for sort in ("NAME_ASC", "NAME_DESC", "BLOCK_TYPE_AND_NAME_ASC", "CREATED_DESC", "", None, 1, [], {}):
        s.post("/block_documents/filter", {**mine, "sort": sort})
    for more in (
        {"block_types": {"slug": {"any_": [of["slug"]]}}}, {"block_types": {"name": {"like_": other["name"]}}},
        {"block_schemas": {"id": {"any_": [schema["id"]]}}}, {"block_schemas": {}}, {"block_types": {}},
        {"block_schemas": {"block_capabilities": {"all_": ["read-path"]}}},
        {"block_schemas": {"block_capabilities": {"all_": ["write-path"]}}}, {"include_secrets": "x"},
        {"include_secrets": None}, {"block_documents": {"name": {"like_": s.name("-A").lower()}}},
        {"block_documents": {"name": {"any_": [s.name("d-a"), s.name("e-b")]}}},
    ):  # fmt: skip
        s.post("/block_documents/filter", {**mine, **more})
        s.post("/block_documents/count", {**mine, **more})
    for body in filter_bodies(FILTER):
        s.post("/block_documents/filter", {"block_documents": body, "limit": 0})
        s.post("/block_documents/count", {"block_documents": body}, ignore=OTHERS_ROWS)
    for path in ("/block_documents/filter", "/block_documents/count"):
        members = ("block_documents", "block_types", "block_schemas", "include_secrets")
        bad_fields(s, "POST", path, {**mine, "limit": 2}, members, ignore=OTHERS_ROWS)
        for body in ([], [1], "x", 1, True, {"block_documents": {"unknown": 1}}):
            s.post(path, body, ignore=OTHERS_ROWS)
        bad_content_types(s, "POST", path, '{"limit": 0}', ignore=OTHERS_ROWS)
