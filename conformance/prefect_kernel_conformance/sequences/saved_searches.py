"""Saved searches: save, replace, read, delete, list."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import (
    NO_ID,
    OTHERS_ROWS,
    WRONG,
    bad_bodies,
    bad_content_types,
    bad_fields,
    bad_ids,
    paging,
    wrong_methods,
)

CONDITION = {"object": "flow", "property": "name", "type": "string", "operation": "equals", "value": "x"}


@sequence
def save_and_read(s: Script) -> None:
    """A search is saved once per name; saving it again replaces its filters."""
    name = s.name("größe ✓")
    made = s.put("/saved_searches/", {"name": name, "filters": [CONDITION, {**CONDITION, "value": {"a": [1, None]}}]})
    s.get(f"/saved_searches/{made['id']}")
    s.put("/saved_searches/", {"name": name, "filters": []})
    s.get(f"/saved_searches/{made['id']}")
    s.put("/saved_searches/", {"name": name})
    s.put("/saved_searches/", {"name": name, "filters": [{**CONDITION, "unknown": 1}]})
    s.get(f"/saved_searches/{made['id']}")
    s.delete(f"/saved_searches/{made['id']}")
    s.get(f"/saved_searches/{made['id']}")
    s.delete(f"/saved_searches/{made['id']}")


@sequence(independent=True)
def bad_saves(s: Script) -> None:
    """Bodies and fields that are no search."""
    good = {"name": s.name("bad"), "filters": [CONDITION]}
    bad_bodies(s, "PUT", "/saved_searches/", good)
    bad_content_types(s, "PUT", "/saved_searches/", f'{{"name": "{s.name("typed")}"}}')
    bad_fields(s, "PUT", "/saved_searches/", good, ("filters", "id"))
    for value in WRONG:
        if not isinstance(value, str):
            s.put("/saved_searches/", {**good, "name": value})
    for field in (*CONDITION, "unknown"):
        for value in WRONG:
            s.put("/saved_searches/", {**good, "filters": [{**CONDITION, field: value}]})
        s.put("/saved_searches/", {**good, "filters": [{key: v for key, v in CONDITION.items() if key != field}]})


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    bad_ids(s, "GET", "/saved_searches/{id}")
    bad_ids(s, "DELETE", "/saved_searches/{id}")
    wrong_methods(s, "/saved_searches/", ("PUT",))
    wrong_methods(s, "/saved_searches/filter", ("POST",))
    wrong_methods(s, f"/saved_searches/{NO_ID}", ("GET", "DELETE"))


@sequence(independent=True)
def lists(s: Script) -> None:
    """Limits and offsets; what others have saved is seen too."""
    paging(s, "/saved_searches/filter", {})
    for letter in "cab":
        s.put("/saved_searches/", {"name": s.name(f"!list-{letter}")})
    s.post("/saved_searches/filter", {"limit": 200})
    for body in ([], [1], "x", 1, True, None, {"unknown": 1}):
        s.post("/saved_searches/filter", body, ignore=OTHERS_ROWS)
    s.post("/saved_searches/filter", ignore=OTHERS_ROWS)
