"""Random walks over the artifacts of a few keys: made, changed, deleted, and listed after each step."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences._bad_input import OTHERS_ROWS
from ._mangle import mangle

DATA = (None, 1, 1.5, "x", "ü", [1, {"a": None}], {}, {"a": {"b": True}})
TYPES = ("table", "markdown", "progress", None)


def _body(s: Script, rng: Random) -> dict[str, Any]:
    body: dict[str, Any] = {"flow_run_id": s.uuid("run")}
    if rng.random() < 0.8:
        body["key"] = s.name(rng.choice("abc"))
    if rng.random() < 0.8:
        body["type"] = rng.choice(TYPES)
    if rng.random() < 0.8:
        body["data"] = rng.choice(DATA)
    if rng.random() < 0.4:
        body["description"] = rng.choice(["d", "", None])
    if rng.random() < 0.4:
        body["metadata_"] = rng.choice([{}, {"a": "b"}, None, {"long": "x" * 600}])
    return body


@generator
def walk(s: Script, rng: Random) -> None:
    """Artifacts come and go; the latest of each key is compared all the way."""
    made: list[Ref] = []
    mine: dict[str, Any] = {"artifacts": {"flow_run_id": {"any_": [s.uuid("run")]}}, "sort": "KEY_ASC"}
    for _ in range(rng.randrange(4, 14)):
        what = rng.random()
        if what < 0.55 or not made:
            made.append(s.post("/artifacts/", _body(s, rng)))
        elif what < 0.75:
            body = {key: value for key, value in _body(s, rng).items() if key in ("data", "description", "metadata_")}
            s.patch(f"/artifacts/{rng.choice(made)['id']}", body)
        else:
            s.delete(f"/artifacts/{rng.choice(made)['id']}")
        s.post("/artifacts/latest/filter", mine)
        s.post("/artifacts/count", {"artifacts": {**mine["artifacts"], "type": {"any_": [rng.choice(TYPES[:3])]}}})
    s.rows("artifact_collection", columns=["key", "type", "data", "metadata_"], key=s.name("a"))


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    made = s.post("/artifacts/", {"key": s.name("a"), "type": "table", "data": [1]})
    whole = {
        "key": s.name("b"), "type": "markdown", "data": {"x": 1}, "description": "d", "metadata_": {"m": "n"},
        "flow_run_id": s.uuid("run"), "task_run_id": s.uuid("task"),
    }  # fmt: skip
    mine = {"id": {"any_": [made["id"]]}, "key": {"like_": s.name("a")}, "type": {"any_": ["table"]}}
    body = {"artifacts": mine, "sort": "KEY_ASC", "limit": 3, "offset": 0}
    mangle(s, rng, {
        ("POST", "/artifacts/"): whole,
        ("PATCH", f"/artifacts/{made['id']}"): {"data": 1, "description": "d", "metadata_": {"a": "b"}},
        ("POST", "/artifacts/filter"): body,
        ("POST", "/artifacts/count"): body,
        ("POST", "/artifacts/latest/filter"): body,
        ("POST", "/artifacts/latest/count"): body,
    }, ignore=OTHERS_ROWS)  # fmt: skip
    s.get(f"/artifacts/{made['id']}")
