"""Variables: create, read, change, delete, filter, count."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import (
    LONG,
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

# Not among them: floats from 2**64 on. PostgreSQL gives them back as integers, over which Python Prefect stumbles.
VALUES = (
    "text", "", "5", "5.0", "true", "null", '"quoted"', "ü ✓ \U0001f4a5", "a\\b\n", 0, 5, -1, 2**62, 2**63, 2**64, 1.0,
    5.5, -0.0, 1e-300, 1e16, 123456789.125, True, False, None, [], {}, [1, [2.0, None]], {"a": {"b": [1e5]}},
    {"": "", "é": "\u0001"}, "x" * 4998, "x" * 4999, ["é" * 2500],
)  # fmt: skip
FILTER = {
    "id": {"any_": ([], [NO_ID])},
    "name": {"any_": ([], ["nobody"]), "like_": ("nobody", "%nobody%")},
    "tags": {"all_": ([], ["a"], ["a", "b"]), "is_null_": (True, False), "any_": ()},
    "operator": {},
    "unknown": {},
}


@sequence
def create_and_read(s: Script) -> None:
    """A variable by its id and by its name."""
    name = s.name("variable")
    made = s.post("/variables/", {"name": name, "value": {"a": [1, 2.5]}, "tags": ["b", "a", "b"]})
    s.get(f"/variables/{made['id']}")
    s.get(f"/variables/name/{name}")
    s.post("/variables/", {"name": name, "value": 1})
    s.get(f"/variables/name/{s.name('nobody')}")
    s.get(f"/variables/{s.uuid()}")
    s.get("/variables/name/")


@sequence(independent=True)
def values(s: Script) -> None:
    """Every kind of value, made, read, and put in place of another."""
    changed = s.post("/variables/", {"name": s.name("changed"), "value": "x"})
    for number, value in enumerate(VALUES):
        made = s.post("/variables/", {"name": s.name(f"value-{number}"), "value": value})
        s.get(f"/variables/{made['id']}")
        s.patch(f"/variables/{changed['id']}", {"value": value})
        s.get(f"/variables/{changed['id']}")


@sequence
def values_with_nul_characters(s: Script) -> None:
    """Which PostgreSQL does not hold."""
    s.post("/variables/", {"name": s.name("nul"), "value": ["\u0000"]})


@sequence(independent=True)
def values_that_are_not_finite(s: Script) -> None:
    """Numbers that JSON does not have."""
    made = s.post("/variables/", {"name": s.name("changed"), "value": 1})
    for number, value in enumerate(("NaN", "[-Infinity]", "1e999")):
        s.request("POST", "/variables/", raw=f'{{"name": "not_finite_{number}", "value": {value}}}'.encode(),
                  headers={"content-type": "application/json"})  # fmt: skip
    s.get(f"/variables/{made['id']}")


@sequence
def update(s: Script) -> None:
    """Members that are given are changed, by id and by name."""
    name, other = s.name("variable"), s.name("other")
    made = s.post("/variables/", {"name": name, "value": "x", "tags": ["a"]})
    s.post("/variables/", {"name": other, "value": "y"})
    for path in (f"/variables/{made['id']}", f"/variables/name/{name}"):
        for body in (
            {"value": 1}, {"tags": ["b", "c"]}, {"value": None}, {"tags": []}, {}, {"tags": None}, {"name": None},
            {"name": other}, {"name": name, "value": [1]},
        ):  # fmt: skip
            s.patch(path, body)
            s.get(path)
    s.patch(f"/variables/name/{name}", {"name": s.name("renamed")})
    s.get(f"/variables/name/{name}")
    s.get(f"/variables/name/{s.name('renamed')}")
    s.patch(f"/variables/{s.uuid()}", {"value": 1})
    s.patch(f"/variables/name/{s.name('nobody')}", {"value": 1})


@sequence
def delete(s: Script) -> None:
    """A deleted variable is gone, and its name is free."""
    name = s.name("variable")
    for by_name in (True, False):
        made = s.post("/variables/", {"name": name, "value": "x"})
        path = f"/variables/name/{name}" if by_name else f"/variables/{made['id']}"
        s.delete(path)
        s.get(path)
        s.delete(path)


@sequence
def events(s: Script) -> None:
    """What is told about variables."""
    made = s.post("/variables/", {"name": s.name("variable"), "value": {"a": 1.0}, "tags": ["t"]})
    path = f"/variables/{made['id']}"
    s.patch(path, {"value": 5.0})
    s.delete(path)
    about = {"resource": {"id": [f"prefect.variable.{made['id']}"]}, "order": "ASC"}
    s.post("/events/filter", {"filter": about}, until=("total", 3), ignore=("body.events[].received",))


@sequence(independent=True)
def names(s: Script) -> None:
    """Names that are none, and names of odd shapes."""
    for name in ("", "A", "a b", "a/b", "é", "a.b", "a\n", "-", "_", "9", "a" * 255, "a" * 256, "a\x00"):
        s.post("/variables/", {"name": name, "value": 1}, ignore=("=body.id",))
        s.post("/variables/", {"name": f"{s.name('')}{name}"[:300], "value": 1})
    for name in ("a%20b", "%C3%A9", "a%2Fb", "..", "%00", LONG[:300]):
        s.get(f"/variables/name/{name}")


@sequence(independent=True)
def bad_creates(s: Script) -> None:
    """Bodies and fields that are no variable."""
    good = {"name": s.name("bad"), "value": 1}
    bad_bodies(s, "POST", "/variables/", good)
    bad_content_types(s, "POST", "/variables/", f'{{"name": "{s.name("typed")}", "value": 1}}')
    for field in ("name", "value", "tags", "id"):
        for value in WRONG:
            s.post("/variables/", {**good, "name": s.name(f"bad-{len(s.steps)}"), field: value})
    bad_fields(s, "POST", "/variables/", good, ())


@sequence(independent=True)
def bad_updates(s: Script) -> None:
    """Bodies and fields that change no variable."""
    made = s.post("/variables/", {"name": s.name("variable"), "value": 1})
    path = f"/variables/{made['id']}"
    bad_bodies(s, "PATCH", path, {"value": 1})
    bad_content_types(s, "PATCH", path, '{"value": "x"}')
    bad_fields(s, "PATCH", path, {"value": 1}, ("value", "tags", "id"))
    for value in WRONG:
        if not isinstance(value, str) or value not in ("", "x", "1", "true", "null", LONG, "2026-01-01", "not-a-uuid"):
            s.patch(path, {"name": value})
    s.get(path)


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    bad_ids(s, "GET", "/variables/{id}")
    bad_ids(s, "PATCH", "/variables/{id}", {"value": 1})
    bad_ids(s, "DELETE", "/variables/{id}")
    for path, allowed in (
        ("/variables/", ("POST",)),
        ("/variables/filter", ("POST",)),
        ("/variables/count", ("POST",)),
        (f"/variables/name/{s.name('x')}", ("GET", "PATCH", "DELETE")),
        (f"/variables/{NO_ID}", ("GET", "PATCH", "DELETE")),
    ):
        wrong_methods(s, path, allowed)


@sequence(independent=True)
def lists(s: Script) -> None:
    """Filters, sorts, limits and offsets."""
    for letter, tags in (("c", ["a"]), ("a", ["a", "b"]), ("b", []), ("d", ["b"])):
        s.post("/variables/", {"name": s.name(f"list-{letter}"), "value": letter, "tags": tags})
    own = {"name": {"like_": s.name("list")[:5]}}
    mine = {"variables": {"name": {"any_": [s.name(f"list-{letter}") for letter in "abcd"]}}}
    paging(s, "/variables/filter", mine)
    for sort in ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "ID_DESC", "", None, 1, [], {}):
        s.post("/variables/filter", {**mine, "sort": sort})
    for tags in ({"all_": ["a"]}, {"all_": ["a", "b"]}, {"all_": []}, {"is_null_": True}, {"is_null_": False},
                 {"operator": "or_", "all_": ["a"], "is_null_": True}, {"all_": ["a"], "is_null_": True}):  # fmt: skip
        s.post("/variables/filter", {"variables": {**mine["variables"], "tags": tags}})
        s.post("/variables/count", {"variables": {**mine["variables"], "tags": tags}})
    s.post("/variables/filter", {"variables": {**own, "name": {"like_": s.name("LIST-A")}}})
    for body in filter_bodies(FILTER):
        s.post("/variables/filter", {"variables": body, "limit": 0})
        s.post("/variables/count", {"variables": body}, ignore=OTHERS_ROWS)
    for path in ("/variables/filter", "/variables/count"):
        bad_fields(s, "POST", path, {**mine, "limit": 2}, ("variables",), ignore=OTHERS_ROWS)
        for body in ([], [1], "x", 1, True, {"variables": {"unknown": 1}}):
            s.post(path, body, ignore=OTHERS_ROWS)
        bad_content_types(s, "POST", path, '{"limit": 0}', ignore=OTHERS_ROWS)
