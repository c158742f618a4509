"""Artifacts: create, read, change, delete, lists, and the latest of each key."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._bad_input import (
    OTHERS_ROWS,
    bad_bodies,
    bad_content_types,
    bad_fields,
    bad_ids,
    filter_bodies,
    paging,
    wrong_methods,
)
from ._make import flow_run, set_state, task_run
from .flow_run_queries import IDS

OBJECTS = ("artifacts", "flow_runs", "task_runs", "flows", "deployments")
KEYS = {"any_": (["a"], []), "like_": ("a", "%", ""), "exists_": (True, False)}
TYPES = {"any_": (["table"], []), "not_any_": (["table"], [])}
FILTER = {
    "id": {"any_": IDS}, "key": KEYS, "flow_run_id": {"any_": IDS}, "task_run_id": {"any_": IDS}, "type": TYPES,
    "operator": {}, "unknown": {},
}  # fmt: skip
LATEST_FILTER = {"latest_id": {"any_": IDS}, **{name: item for name, item in FILTER.items() if name != "id"}}


def _artifact(s: Script, **more: Any) -> Ref:
    return s.post("/artifacts/", {"key": s.name("key"), "type": "markdown", "data": "# hello", **more})


def _stored(s: Script) -> None:
    """The rows of the case's own key, and what events tell of it."""
    columns = ["key", "type", "data", "description", "metadata_", "flow_run_id", "task_run_id"]
    s.rows("artifact", order_by="created", columns=columns, key=s.name("key"))
    s.rows("artifact_collection", columns=columns, key=s.name("key"))


@sequence
def create_and_read(s: Script) -> None:
    """Artifacts with and without a key."""
    made = _artifact(s, description="d", metadata_={"a": "b"}, flow_run_id=s.uuid("run"), task_run_id=s.uuid("task"))
    s.get(f"/artifacts/{made['id']}")
    s.get(f"/artifacts/{s.name('key')}/latest")
    plain = s.post("/artifacts/", {"data": {"x": [1, 2.5, None, "größe"]}})
    s.get(f"/artifacts/{plain['id']}")
    nothing = s.post("/artifacts/", {})
    s.get(f"/artifacts/{nothing['id']}")
    s.get(f"/artifacts/{s.uuid()}")
    s.get(f"/artifacts/{s.name('nobody')}/latest")
    s.get("/artifacts/%20/latest")
    _stored(s)


@sequence
def data_of_every_kind(s: Script) -> None:
    """What data can be."""
    for data in (
        None, True, False, 0, 1, -1, 1.0, 1.5, 1e20, 1e-7, 2**53, 2**63, 2**70, "", "x", "1", "null", "ü ✓ 💥",
        "\\ \" \n", [], [1, [2]], {}, {"a": None}, {"a": {"b": 1.0}}, {"": 0}, [{"a": 1}, {"a": 2}], "x" * 100_000,
        {"artifact_key": "k"},
    ):  # fmt: skip
        made = s.post("/artifacts/", {"data": data})
        s.get(f"/artifacts/{made['id']}")
        s.rows("artifact", columns=["data", "metadata_"], id=made["id"])


@sequence
def latest_of_a_key(s: Script) -> None:
    """The newest is the latest; when it is deleted, the one before it is again."""
    made = [_artifact(s, data=n, description=str(n), type=f"t{n}", metadata_={"n": str(n)}) for n in range(3)]
    latest = f"/artifacts/{s.name('key')}/latest"
    mine = {"artifacts": {"key": {"any_": [s.name("key")]}}}
    s.get(latest)
    s.post("/artifacts/latest/filter", mine)
    s.delete(f"/artifacts/{made[1]['id']}")
    s.get(latest)
    s.delete(f"/artifacts/{made[2]['id']}")
    s.get(latest)
    s.post("/artifacts/latest/filter", mine)
    _stored(s)
    s.delete(f"/artifacts/{made[0]['id']}")
    s.get(latest)
    s.delete(f"/artifacts/{made[0]['id']}")
    _stored(s)
    s.post("/artifacts/latest/count", mine)
    s.post("/artifacts/count", mine)


@sequence
def what_a_later_one_leaves_open(s: Script) -> None:
    """A later artifact of the key replaces everything, also by nothing."""
    _artifact(s, description="d", metadata_={"a": "b"}, flow_run_id=s.uuid("run"), task_run_id=s.uuid("task"))
    s.post("/artifacts/", {"key": s.name("key")})
    s.get(f"/artifacts/{s.name('key')}/latest")
    _stored(s)


@sequence
def update(s: Script) -> None:
    """What can be changed; the collection follows its latest."""
    first, second = _artifact(s), _artifact(s)
    for made in (first, second):
        path = f"/artifacts/{made['id']}"
        for body in (
            {"data": {"a": 1}}, {"description": "new"}, {"metadata_": {"x": "y"}}, {"data": None}, {},
            {"description": None}, {"metadata_": None}, {"data": 1, "description": "d", "metadata_": {}},
            {"key": "other"}, {"type": "x"},
        ):  # fmt: skip
            s.patch(path, body)
            s.get(path)
            s.get(f"/artifacts/{s.name('key')}/latest")
        _stored(s)
    s.patch(f"/artifacts/{s.uuid()}", {"data": 1})


@sequence
def events(s: Script) -> None:
    """Collections are told of when they are made, changed and deleted."""
    made = [_artifact(s, data={"n": n}, flow_run_id=s.uuid("run")) for n in range(2)]
    for one in reversed(made):
        s.delete(f"/artifacts/{one['id']}")
    s.post(
        "/events/filter",
        {"filter": {"related": {"id": [f"prefect.flow-run.{s.uuid('run')}"]}, "order": "ASC"}},
        until=("events", 4),
        ignore=("body.next_page",),
    )


@sequence
def results_with_a_key(s: Script) -> None:
    """Results of states that name a key are artifacts of it."""
    run = flow_run(s)
    for number in range(2):
        data = {"artifact_key": s.name("key"), "artifact_type": "result", "n": number}
        if number == 0:
            data["artifact_description"] = "the first"
        set_state(s, run, "RUNNING" if number else "PENDING", force=True, data=data)
        s.get(f"/artifacts/{s.name('key')}/latest")
        s.post("/artifacts/latest/filter", {"artifacts": {"key": {"any_": [s.name("key")]}}})
    _stored(s)
    s.post(
        "/events/filter",
        {
            "filter": {
                "event": {"prefix": ["prefect.artifact-collection."]},
                "related": {"id": [f"prefect.flow-run.{run['id']}"]},
                "order": "ASC",
            }
        },
        until=("total", 2),
        ignore=("body.next_page",),
    )


@sequence
def of_runs(s: Script) -> None:
    """Lists by the runs that artifacts belong to."""
    run = flow_run(s, tags=["a"])
    task = task_run(s, run)
    _artifact(s, flow_run_id=run["id"], task_run_id=task["id"])
    _artifact(s, flow_run_id=run["id"], key=None)
    mine = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
    for more in (
        {}, {"flow_runs": {"id": {"any_": [run["id"]]}}}, {"task_runs": {"id": {"any_": [task["id"]]}}},
        {"flow_runs": {"tags": {"all_": ["b"]}}}, {"flows": {"id": {"any_": [s.uuid()]}}}, {"deployments": {}},
        {"flows": {}, "task_runs": {}}, {"task_runs": {"name": {"like_": "nobody"}}},
    ):  # fmt: skip
        for sort in ("CREATED_DESC", "KEY_ASC", "KEY_DESC"):
            s.post("/artifacts/filter", {**mine, **more, "sort": sort})
            s.post("/artifacts/latest/filter", {**mine, **more, "sort": sort})
        s.post("/artifacts/count", {**mine, **more})
        s.post("/artifacts/latest/count", {**mine, **more})


@sequence(independent=True)
def bad_creates(s: Script) -> None:
    """Bodies and fields that are no artifact."""
    good = {"key": s.name("key"), "data": 1}
    bad_bodies(s, "POST", "/artifacts/", good)
    bad_content_types(s, "POST", "/artifacts/", "{}")
    bad_fields(
        s, "POST", "/artifacts/", good,
        ("key", "type", "description", "data", "metadata_", "flow_run_id", "task_run_id", "id", "created"),
    )  # fmt: skip
    for key in ("A", "a_b", "a b", "a.b", "ä", "a" * 500, "-", "a\n", "\n"):
        s.post("/artifacts/", {"key": key})
    for metadata in ({"a": 1}, {"a": None}, {"a": "x" * 500}, {"a": "x" * 501}, {"a": "ä" * 600}, {"a b": ""}):
        s.post("/artifacts/", {"metadata_": metadata})


@sequence(independent=True)
def bad_updates(s: Script) -> None:
    """Bodies and fields that change no artifact."""
    made = s.post("/artifacts/", {"data": 1})
    path = f"/artifacts/{made['id']}"
    bad_bodies(s, "PATCH", path, {"data": 1})
    bad_content_types(s, "PATCH", path, "{}")
    bad_fields(s, "PATCH", path, {}, ("data", "description", "metadata_", "key", "type"))
    s.get(path, ignore=("body.updated",))


@sequence(independent=True)
def bad_paths(s: Script) -> None:
    """Ids that are none, and methods that are not there."""
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        bad_ids(s, method, "/artifacts/{id}", *([] if body is None else [body]))
    for path, allowed in (
        ("/artifacts/", ("POST",)),
        ("/artifacts/filter", ("POST",)),
        ("/artifacts/count", ("POST",)),
        ("/artifacts/latest/filter", ("POST",)),
        ("/artifacts/latest/count", ("POST",)),
        ("/artifacts/x/latest", ("GET",)),
        ("/artifacts/00000000-0000-4000-8000-000000000000", ("GET", "PATCH", "DELETE")),
    ):
        wrong_methods(s, path, allowed)


@sequence(independent=True)
def paging_and_sorting(s: Script) -> None:
    """Limits, offsets and sorts over a few artifacts of its own."""
    for letter in "cabd":
        s.post("/artifacts/", {"key": f"{s.name(letter)}", "flow_run_id": s.uuid("run")})
    mine = {"artifacts": {"flow_run_id": {"any_": [s.uuid("run")]}}}
    for path in ("/artifacts/filter", "/artifacts/latest/filter"):
        paging(s, path, {**mine, "sort": "KEY_ASC"})
        for sort in ("CREATED_DESC", "UPDATED_DESC", "KEY_ASC", "KEY_DESC", "KEY", "", None, 1, [], {}):
            s.post(path, {**mine, "sort": sort}, **({"unordered": ("body",)} if sort is None else {}))
    s.post("/artifacts/count", {**mine, "unknown": 1, "sort": "x", "limit": "y"})


@sequence(independent=True)
def filter_fields(s: Script) -> None:
    """Each operator of each field with good and with wrong values."""
    for path, operators in (("/artifacts/filter", FILTER), ("/artifacts/latest/filter", LATEST_FILTER)):
        for body in filter_bodies(operators):
            s.post(path, {"artifacts": body, "limit": 0})


@sequence(independent=True)
def bodies_of_queries(s: Script) -> None:
    """Bodies that are no query."""
    nobody = {"artifacts": {"key": {"any_": [s.name("nobody")]}}, "limit": 0}
    for path in ("/artifacts/filter", "/artifacts/latest/filter", "/artifacts/count", "/artifacts/latest/count"):
        bad_fields(s, "POST", path, nobody, OBJECTS, ignore=OTHERS_ROWS)
        for body in ([], [1], "x", 1, True, {"artifacts": {"unknown": 1}}):
            s.post(path, body)
        if path.endswith("/count"):  # lists show, for bodies that are not JSON, what other cases have left
            bad_content_types(
                s, "POST", path, '{"artifacts": {"key": {"any_": ["nobody"]}}, "limit": 0}', ignore=OTHERS_ROWS
            )
