"""Flows: create, read, change, delete, filter, count, paginate."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import OTHERS_ROWS, bad_bodies, bad_content_types, bad_fields, bad_ids, paging, wrong_methods

OBJECTS = ("flows", "flow_runs", "task_runs", "deployments", "work_pools")


@sequence
def create_and_read(s: Script) -> None:
    """A flow is made once per name; a second POST finds it."""
    name = s.name("flow")
    flow = s.post("/flows/", {"name": name, "tags": ["b", "a", "b"], "labels": {"x": 1, "y": "z", "t": True, "f": 1.5}})
    s.get(f"/flows/{flow['id']}")
    s.get(f"/flows/name/{name}")
    s.post("/flows/", {"name": name, "tags": ["c"]})
    s.get(f"/flows/{flow['id']}")
    s.get(f"/flows/{flow['id']}/")
    s.get(f"/flows/name/{name}/")


@sequence
def create_with_least(s: Script) -> None:
    """Only a name, as the client does."""
    flow = s.post("/flows/", {"name": s.name("flow")})
    s.get(f"/flows/{flow['id']}")


@sequence
def names_in_paths(s: Script) -> None:
    """Names that need quoting in a path, and names nobody has."""
    flow = s.post("/flows/", {"name": f"{s.name('a b')} ü +x"})
    s.get(f"/flows/name/{s.name('a b').replace(' ', '%20')}%20%C3%BC%20%2Bx")
    s.get(f"/flows/name/{s.name('nobody')}")
    s.get("/flows/name/%2F")
    s.get("/flows/name/")
    s.get(f"/flows/{flow['id']}")


@sequence
def update(s: Script) -> None:
    """Tags can be changed."""
    flow = s.post("/flows/", {"name": s.name("flow"), "tags": ["a"]})
    s.patch(f"/flows/{flow['id']}", {"tags": ["b", "c"]})
    s.get(f"/flows/{flow['id']}")
    s.patch(f"/flows/{flow['id']}", {})
    s.get(f"/flows/{flow['id']}")
    s.patch(f"/flows/{flow['id']}", {"tags": []})
    s.get(f"/flows/{flow['id']}")
    s.patch(f"/flows/{flow['id']}", {"name": "other"})
    s.patch(f"/flows/{flow['id']}", {"tags": None})
    s.patch(f"/flows/{s.uuid()}", {"tags": []})


@sequence
def delete(s: Script) -> None:
    """A deleted flow is gone, with its runs and deployments."""
    flow = s.post("/flows/", {"name": s.name("flow")})
    run = s.post("/flow_runs/", {"flow_id": flow["id"], "state": {"type": "PENDING"}})
    s.delete(f"/flows/{flow['id']}")
    s.get(f"/flows/{flow['id']}")
    s.get(f"/flow_runs/{run['id']}")
    s.delete(f"/flows/{flow['id']}")
    s.post("/flows/", {"name": s.name("flow")})


@sequence(independent=True)
def bad_creates(s: Script) -> None:
    """Bodies and fields that are no flow."""
    good = {"name": s.name("flow")}
    bad_bodies(s, "POST", "/flows/", good)
    bad_content_types(s, "POST", "/flows/", f'{{"name": "{s.name("typed")}"}}')
    bad_fields(s, "POST", "/flows/", good, ("name", "tags", "labels"))
    for name in ("a/b", "a%b", "a&b", "a<b", "a>b", " ", "\t", "a\nb", "💥", "ä" * 300):
        s.post("/flows/", {"name": f"{name}{s.name('')}"})
    for labels in ({"a": None}, {"a": []}, {"a": 2**63}, {"a": "x" * 10000}, {"a.b": 1}, {"a": -0.0}, {"a": 1e308}):
        s.post("/flows/", {"name": s.name("labelled"), "labels": labels})


@sequence
def nul_characters(s: Script) -> None:
    """A name with a character that PostgreSQL does not hold."""
    s.post("/flows/", {"name": f"\x00{s.name('')}"})


@sequence(independent=True)
def bad_updates(s: Script) -> None:
    """Bodies and fields that change no flow."""
    flow = s.post("/flows/", {"name": s.name("flow")})
    path = f"/flows/{flow['id']}"
    bad_bodies(s, "PATCH", path, {"tags": []})
    bad_content_types(s, "PATCH", path, '{"tags": ["x"]}')
    bad_fields(s, "PATCH", path, {"tags": ["x"]}, ("tags",))


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    bad_ids(s, "GET", "/flows/{id}")
    bad_ids(s, "PATCH", "/flows/{id}", {"tags": []})
    bad_ids(s, "DELETE", "/flows/{id}")
    for path, allowed in (
        ("/flows/", ("POST",)),
        ("/flows/filter", ("POST",)),
        ("/flows/count", ("POST",)),
        ("/flows/paginate", ("POST",)),
        ("/flows/name/x", ("GET",)),
        ("/flows/00000000-0000-4000-8000-000000000000", ("GET", "PATCH", "DELETE")),
    ):
        wrong_methods(s, path, allowed)


@sequence(independent=True)
def paging_and_sorting(s: Script) -> None:
    """Limits, offsets, pages and sorts over a few flows of its own."""
    for letter in "cabd":
        s.post("/flows/", {"name": s.name(f"page-{letter}")})
    mine = {"flows": {"name": {"like_": s.name("")}}}
    paging(s, "/flows/filter", mine)
    paging(s, "/flows/paginate", mine, page=True)
    for sort in ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "ID_DESC", "name_asc", "", None, 1, [], {}):
        s.post("/flows/filter", {**mine, "sort": sort})
        s.post("/flows/paginate", {**mine, "sort": sort})
    s.post("/flows/filter", {**mine, "unknown": 1, "limit": 1})
    s.post("/flows/count", {**mine, "unknown": 1, "sort": "x", "limit": "y"})
    s.post("/flows/count", mine)


@sequence(independent=True)
def bodies_of_queries(s: Script) -> None:
    """Bodies that are no filter."""
    for path in ("/flows/filter", "/flows/count", "/flows/paginate"):
        mine = {"flows": {"name": {"any_": [s.name("nobody")]}}, "limit": 0}
        bad_fields(
            s,
            "POST",
            path,
            mine,
            OBJECTS,
            ignore=OTHERS_ROWS,
        )
        for body in ([], [1], "x", 1, True, {"flows": {"unknown": 1}}, {"flows": {"name": {"any": []}}}):
            s.post(path, body)
        bad_content_types(s, "POST", path, '{"flows": {"name": {"any_": ["nobody"]}}, "limit": 0}', ignore=OTHERS_ROWS)
