"""Block types: create, read, change, delete, filter; their documents; the protected ones."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import (
    LONG,
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

MEMBERS = ("name", "slug", "logo_url", "documentation_url", "description", "code_example", "is_protected")
FILTER = {"name": {"like_": ("a", "SEC", "", "%", "_")}, "slug": {"any_": ([], ["secret"], ["nobody"])}, "unknown": {}}
# The built-in types are as old as the servers, which were not started at the same moment.
AGES = (
    "=body.created", "=body.updated", "=body[].created", "=body[].updated", "=body[].block_type.created",
    "=body[].block_type.updated",
    # A set, in the order of the moment.
    "=body[].capabilities[]",
)  # fmt: skip
PROTECTED = ("webhook", "secret", "local-file-system")


@sequence
def create_and_read(s: Script) -> None:
    """Everything that a type may say, and the least; texts are escaped, URLs stripped."""
    name, slug = s.name("Type"), s.name("type")
    made = s.post("/block_types/", {
        "name": name, "slug": slug, "logo_url": " https://x/logo.png\n", "documentation_url": "no url at all",
        "description": "a < b & c > \"d\" 'e' &amp;", "code_example": "```python\nif a < b and c > d: pass\n```",
    })  # fmt: skip
    s.get(f"/block_types/{made['id']}")
    s.get(f"/block_types/slug/{slug}")
    s.get(f"/block_types/slug/{slug}/block_documents")
    s.post("/block_types/", {"name": name, "slug": slug})
    s.post("/block_types/", {"name": name, "slug": s.name("other")})
    s.post("/block_types/", {"name": s.name("least"), "slug": s.name("least")})
    s.get(f"/block_types/slug/{s.name('nobody')}")
    s.get(f"/block_types/slug/{s.name('nobody')}/block_documents")


@sequence
def update(s: Script) -> None:
    """Four members can be changed; what is as it was changes nothing."""
    made = block_type(s)
    path = f"/block_types/{made['id']}"
    s.patch(path, {"description": "a < b", "code_example": "c > d"})
    s.get(path)
    everything = {
        "description": "a < b", "code_example": "c &gt; d", "logo_url": "https://x/y ", "documentation_url": None,
    }  # fmt: skip
    s.patch(path, everything)
    s.get(path)
    s.patch(path, {**everything, "logo_url": "https://x/y"})
    s.get(path)
    s.patch(path, {**everything, "description": "a &lt; b"})
    s.get(path)
    s.patch(path, {})
    s.get(path)
    s.patch(path, {"description": None})
    s.get(path)
    s.patch(f"/block_types/{s.uuid()}", {"description": "x"})
    s.patch(f"/block_types/{s.uuid()}", {})


@sequence
def delete(s: Script) -> None:
    """A type goes with its schemas and documents."""
    made = block_type(s)
    schema = block_schema(s, made)
    document = s.post("/block_documents/", {
        "name": "doc", "data": {}, "block_type_id": made["id"], "block_schema_id": schema["id"],
    })  # fmt: skip
    s.delete(f"/block_types/{made['id']}")
    s.get(f"/block_types/{made['id']}")
    s.get(f"/block_schemas/{schema['id']}")
    s.get(f"/block_documents/{document['id']}")
    s.delete(f"/block_types/{made['id']}")


@sequence
def protected(s: Script) -> None:
    """Protected types cannot be deleted; they can be changed, and be put back."""
    for slug in PROTECTED:
        made = s.get(f"/block_types/slug/{slug}", ignore=AGES)
        s.delete(f"/block_types/{made['id']}")
        schemas = s.post(
            "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [made["id"]]}}}, ignore=AGES
        )
        s.delete(f"/block_schemas/{schemas['0']['id']}")
        s.patch(f"/block_types/{made['id']}", {"description": "changed", "logo_url": None})
        s.get(f"/block_types/slug/{slug}", ignore=AGES)
        s.post("/block_types/install_system_block_types")
        s.get(f"/block_types/slug/{slug}", ignore=AGES)
        s.get(f"/block_types/slug/{slug}/block_documents/name/{s.name('nobody')}")


@sequence
def registered(s: Script) -> None:
    """What a server has from its start."""
    s.post("/block_types/filter", {"block_types": {"name": {"like_": "credentials"}}, "limit": 60}, ignore=AGES)
    for capability in ("read-path", "write-path", "notify", "get-directory", "nothing"):
        s.post("/block_types/filter", {"block_schemas": {"block_capabilities": {"all_": [capability]}}}, ignore=AGES)
    s.post(
        "/block_types/filter",
        {"block_schemas": {"block_capabilities": {"all_": ["read-path", "write-path"]}}},
        ignore=AGES,
    )
    s.post(
        "/block_types/filter", {"block_types": {"slug": {"any_": list(PROTECTED)}}, "block_schemas": {}}, ignore=AGES
    )
    s.get("/block_capabilities/", unordered=("body",))
    s.get("/collections/views/aggregate-worker-metadata")
    s.get("/collections/views/nobody")
    wrong_methods(s, "/block_capabilities/", ("GET",))
    wrong_methods(s, "/collections/views/aggregate-worker-metadata", ("GET",))


@sequence(independent=True)
def names(s: Script) -> None:
    """Names and slugs that are reserved, or none."""
    for name in ("Prefect", "prefect x", "PREFECTLY", " prefect", "pre fect"):
        s.post("/block_types/", {"name": f"{name}{s.name('')}", "slug": s.name(f"slug-{len(s.steps)}")})
    for slug in ("", "A", "a_b", "a b", "a/b", "é", "a.b", "-", "a\n", LONG[:300]):
        s.post("/block_types/", {"name": s.name("named"), "slug": f"{slug}{s.name('')}"})
        s.get(f"/block_types/slug/{s.name('x')}")
    for name in ("a/b", "a%b", "a&b", "a<b", "a>b", " ", "\t", "a\nb", "💥", ""):
        s.post("/block_types/", {"name": f"{name}{s.name('') if name else ''}", "slug": s.name(f"s-{len(s.steps)}")})


@sequence
def nul_characters(s: Script) -> None:
    """A name with a character that PostgreSQL does not hold."""
    s.post("/block_types/", {"name": f"\x00{s.name('')}", "slug": s.name("nul")})


@sequence(independent=True)
def bad_creates(s: Script) -> None:
    """Bodies and fields that are no type."""
    good = {"name": s.name("bad"), "slug": s.name("bad")}
    bad_bodies(s, "POST", "/block_types/", good)
    bad_content_types(s, "POST", "/block_types/", f'{{"name": "{s.name("t")}", "slug": "{s.name("t")}"}}')
    for field in MEMBERS:
        for number, value in enumerate(WRONG):
            own = f"b-{field[:3]}-{number}"
            s.post("/block_types/", {"name": s.name(own), "slug": s.name(own), field: value})
    bad_fields(s, "POST", "/block_types/", good, ())


@sequence(independent=True)
def bad_updates(s: Script) -> None:
    """Bodies and fields that change no type."""
    made = block_type(s)
    path = f"/block_types/{made['id']}"
    bad_bodies(s, "PATCH", path, {"description": "x"})
    bad_content_types(s, "PATCH", path, '{"description": "y"}')
    bad_fields(s, "PATCH", path, {"description": "x"}, (*MEMBERS, "id"))


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    bad_ids(s, "GET", "/block_types/{id}")
    bad_ids(s, "PATCH", "/block_types/{id}", {"description": "x"})
    bad_ids(s, "DELETE", "/block_types/{id}")
    for path, allowed in (
        ("/block_types/", ("POST",)),
        ("/block_types/filter", ("POST",)),
        ("/block_types/install_system_block_types", ("POST",)),
        ("/block_types/slug/secret", ("GET",)),
        ("/block_types/slug/secret/block_documents", ("GET",)),
        ("/block_types/slug/secret/block_documents/name/x", ("GET",)),
        ("/block_types/00000000-0000-4000-8000-000000000000", ("GET", "PATCH", "DELETE")),
    ):
        wrong_methods(s, path, allowed)
    for secrets in ("true", "1", "yes", "x", "", "0", "None", "true&include_secrets=false"):
        s.get(f"/block_types/slug/{s.name('no')}/block_documents?include_secrets={secrets}")
        s.get(f"/block_types/slug/{s.name('no')}/block_documents/name/x?include_secrets={secrets}")


@sequence(independent=True)
def lists(s: Script) -> None:
    """Filters, limits and offsets."""
    for letter in "cab":
        block_type(s, name=s.name(f"List {letter}"), slug=s.name(f"list-{letter}"))
    mine = {"block_types": {"name": {"like_": s.name("")}}}
    paging(s, "/block_types/filter", mine)
    for body in filter_bodies(FILTER):
        s.post("/block_types/filter", {"block_types": body, "limit": 3}, ignore=(*OTHERS_ROWS, *AGES))
    bad_fields(s, "POST", "/block_types/filter", {**mine, "limit": 2}, ("block_types", "block_schemas"),
               ignore=OTHERS_ROWS)  # fmt: skip
    for body in ([], [1], "x", 1, True, {"block_types": {"operator": "or_"}}):
        s.post("/block_types/filter", body, ignore=OTHERS_ROWS)
    bad_content_types(s, "POST", "/block_types/filter", '{"limit": 0}', ignore=OTHERS_ROWS)
