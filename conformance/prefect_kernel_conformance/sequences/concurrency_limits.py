"""Concurrency limits by tag: the first version of the API over the global limits."""

from __future__ import annotations

from ..script import Ref, Script, sequence
from ._bad_input import OTHERS_ROWS, bad_bodies, bad_content_types, bad_fields, bad_ids, wrong_methods

PATH = "/concurrency_limits"


def _limit(s: Script, slots: int, stem: str = "t") -> Ref:
    return s.post(f"{PATH}/", {"tag": s.name(stem), "concurrency_limit": slots})


def _rows(s: Script, stem: str = "t") -> None:
    columns = ["name", "limit", "active", "active_slots", "denied_slots", "slot_decay_per_second"]
    s.rows("concurrency_limit_v2", columns=columns, name=f"tag:{s.name(stem)}")


@sequence
def create_and_read(s: Script) -> None:
    """A limit is made once per tag; a second POST sets its number."""
    made = _limit(s, 2)
    s.get(f"{PATH}/{made['id']}")
    s.get(f"{PATH}/tag/{s.name('t')}")
    s.get(f"/v2/concurrency_limits/{made['id']}")
    _limit(s, 3)
    s.get(f"{PATH}/{made['id']}")
    _rows(s)
    s.get(f"{PATH}/{s.uuid()}")
    s.get(f"{PATH}/tag/{s.name('nobody')}")
    other = s.post("/v2/concurrency_limits/", {"name": s.name("global"), "limit": 1})
    s.get(f"{PATH}/{other['id']}")
    s.delete(f"{PATH}/{other['id']}")
    s.delete(f"{PATH}/{made['id']}")
    s.delete(f"{PATH}/{made['id']}")
    s.get(f"{PATH}/{made['id']}")
    _limit(s, 0)
    s.delete(f"{PATH}/tag/{s.name('t')}")
    s.delete(f"{PATH}/tag/{s.name('t')}")
    _rows(s)


@sequence
def odd_numbers(s: Script) -> None:
    """Numbers below zero and beyond what fits; tags that do not fit into a path."""
    for number in (-1, 0, 2**31 - 1, 2**31, 2**63, "5", 1.0):
        s.post(f"{PATH}/", {"tag": s.name(f"n{number}"), "concurrency_limit": number})
    made = _limit(s, 1)
    for number in (-1, 0, 5):
        s.post(f"{PATH}/", {"tag": s.name("t"), "concurrency_limit": number})
    s.get(f"{PATH}/{made['id']}")
    for tag in ("a/b", "a%b", "a b", "ü", "a<b", "tag:x"):
        s.post(f"{PATH}/", {"tag": f"{tag}{s.name('')}", "concurrency_limit": 1})


@sequence
def slots(s: Script) -> None:
    """Task runs take slots and give them back."""
    made = _limit(s, 2)
    _limit(s, 1, "u")
    body = lambda run, *names: {"names": [s.name(name) for name in names], "task_run_id": s.uuid(run)}  # noqa: E731
    for run in ("a", "b", "c"):
        s.post(f"{PATH}/increment", body(run, "t"))
        s.get(f"{PATH}/{made['id']}", unordered=("body.active_slots",))
    _rows(s)
    s.post(f"{PATH}/increment", body("c", "t", "u"))
    s.post(f"{PATH}/increment", body("c", "u", "nobody"))
    s.post(f"{PATH}/increment", body("d", "nobody"))
    s.post(f"{PATH}/increment", {"names": [], "task_run_id": s.uuid("d")})
    s.post(f"{PATH}/decrement", body("a", "t"))
    s.get(f"{PATH}/tag/{s.name('t')}")
    s.post(f"{PATH}/decrement", body("a", "t"))
    s.post(f"{PATH}/increment", body("d", "t", "t"))
    s.post(f"{PATH}/decrement", body("b", "t", "u"), unordered=("body",))
    s.post(f"{PATH}/decrement", body("c", "nobody"))
    _rows(s)
    _rows(s, "u")
    s.post(f"{PATH}/increment", body("e", "t", "nobody"))
    s.delete(f"{PATH}/tag/{s.name('t')}")
    s.post(f"{PATH}/decrement", body("e", "t"))


@sequence
def deleted_one_of_two(s: Script) -> None:
    """A task run holds slots of two limits, one of which is deleted."""
    _limit(s, 2, "a")
    _limit(s, 2, "b")
    body = {"names": [s.name("a"), s.name("b")], "task_run_id": s.uuid("run")}
    s.post(f"{PATH}/increment", body, unordered=("body",))
    s.delete(f"{PATH}/tag/{s.name('a')}")
    s.get(f"{PATH}/tag/{s.name('b')}")


@sequence
def no_slots(s: Script) -> None:
    """A limit of nothing, and one that is switched off."""
    _limit(s, 0)
    body = {"names": [s.name("t")], "task_run_id": s.uuid("run")}
    s.post(f"{PATH}/increment", body)
    s.patch(f"/v2/concurrency_limits/tag:{s.name('t')}", {"limit": 1, "active": False})
    s.post(f"{PATH}/increment", body)
    s.post(f"{PATH}/decrement", body)
    _rows(s)


@sequence
def reset(s: Script) -> None:
    """Holders are forgotten, or replaced by others."""
    made = _limit(s, 3)
    for run in ("a", "b"):
        s.post(f"{PATH}/increment", {"names": [s.name("t")], "task_run_id": s.uuid(run)})
    path = f"{PATH}/tag/{s.name('t')}"
    for body in ({}, {"slot_override": [s.uuid("x")]}, {"slot_override": []}, {"slot_override": None}):
        s.post(f"{path}/reset", body)
        s.get(path)
        _rows(s)
    s.post(f"{path}/reset")
    s.post(f"{PATH}/tag/{s.name('nobody')}/reset", {})
    for wrong in ({"slot_override": "x"}, {"slot_override": [1]}, [], "x", {"unknown": 1}):
        s.post(f"{path}/reset", wrong)
    s.get(f"{PATH}/{made['id']}")


@sequence
def rows_of_the_old_table(s: Script) -> None:
    """Limits that were made before they became global ones."""
    row = s.seed("concurrency_limit", tag=s.name("old"), concurrency_limit=2, active_slots=[s.uuid("a")])
    s.get(f"{PATH}/{row['id']}")
    s.get(f"{PATH}/tag/{s.name('old')}")
    for run in ("a", "b", "c"):
        s.post(f"{PATH}/increment", {"names": [s.name("old")], "task_run_id": s.uuid(run)})
    s.post(f"{PATH}/decrement", {"names": [s.name("old")], "task_run_id": s.uuid("a")})
    s.get(f"{PATH}/{row['id']}")
    s.post(f"{PATH}/tag/{s.name('old')}/reset", {"slot_override": [s.uuid("z")]})
    s.get(f"{PATH}/{row['id']}")
    s.post(f"{PATH}/tag/{s.name('old')}/reset", {})
    s.delete(f"{PATH}/{row['id']}")
    s.seed("concurrency_limit", tag=s.name("old-2"), concurrency_limit=0, active_slots=[])
    s.post(f"{PATH}/increment", {"names": [s.name("old-2")], "task_run_id": s.uuid("a")})
    s.delete(f"{PATH}/tag/{s.name('old-2')}")


@sequence(independent=True)
def bad_input(s: Script) -> None:
    """Bodies, fields, ids and methods that are none."""
    good = {"tag": s.name("bad"), "concurrency_limit": 1}
    bad_bodies(s, "POST", f"{PATH}/", good)
    bad_content_types(s, "POST", f"{PATH}/", f'{{"tag": "{s.name("typed")}", "concurrency_limit": 1}}')
    bad_fields(s, "POST", f"{PATH}/", good, ("tag", "concurrency_limit"))
    slots = {"names": [s.name("nobody")], "task_run_id": s.uuid("run")}
    for path in ("increment", "decrement"):
        bad_bodies(s, "POST", f"{PATH}/{path}", slots)
        bad_fields(s, "POST", f"{PATH}/{path}", slots, ("names", "task_run_id"))
    bad_ids(s, "GET", f"{PATH}/{{id}}")
    bad_ids(s, "DELETE", f"{PATH}/{{id}}")
    for body in (
        {"limit": 0},
        {"limit": 201},
        {"limit": -1},
        {"offset": -1},
        {"offset": 10**6},
        [],
        "x",
        {"limit": "x"},
    ):
        s.post(f"{PATH}/filter", body, ignore=OTHERS_ROWS)
    wrong_methods(s, f"{PATH}/", ("POST",))
    wrong_methods(s, f"{PATH}/filter", ("POST",))
    wrong_methods(s, f"{PATH}/tag/{s.name('x')}", ("GET", "DELETE"))
