"""Global concurrency limits: single limits, slots, leases."""

from __future__ import annotations

from typing import Any

from ..script import Ref, Script, sequence
from ._bad_input import OTHERS_ROWS, WRONG, bad_bodies, bad_content_types, bad_fields, wrong_methods

PATH = "/v2/concurrency_limits"
LEFT_TO_CHANCE = ("headers.retry-after",)


def _limit(s: Script, slots: int, stem: str = "l", **more: Any) -> Ref:
    return s.post(f"{PATH}/", {"name": s.name(stem), "limit": slots, **more})


def _rows(s: Script, stem: str = "l") -> None:
    columns = ["name", "limit", "active", "active_slots", "denied_slots", "slot_decay_per_second"]
    s.rows("concurrency_limit_v2", columns=columns, name=s.name(stem))


@sequence
def create_and_read(s: Script) -> None:
    """By id and by name; names are unique."""
    made = _limit(s, 2)
    other = _limit(s, 5, "m", active=False, active_slots=1, denied_slots=2, slot_decay_per_second=0.5)
    _limit(s, 3)
    for key in (made["id"], s.name("l"), other["id"], s.name("m"), s.uuid(), s.name("nobody")):
        s.get(f"{PATH}/{key}", tolerance=5)
        s.patch(f"{PATH}/{key}", {"limit": 7})
    for body in ({}, {"name": s.name("m")}, {"name": s.name("n")}, {"active": False}, {"slot_decay_per_second": 1}):
        s.patch(f"{PATH}/{made['id']}", body)
        s.get(f"{PATH}/{made['id']}")
    for body in (
        {"limit": None},
        {"limit": -1},
        {"active_slots": -1},
        {"name": "a/b"},
        {"unknown": 1},
        {"limit": 2**31},
    ):
        s.patch(f"{PATH}/{made['id']}", body)
    _rows(s, "n")
    s.delete(f"{PATH}/{s.name('n')}")
    s.delete(f"{PATH}/{made['id']}")
    s.get(f"{PATH}/{made['id']}")


@sequence
def slots(s: Script) -> None:
    """Taken on all limits or on none, and given back."""
    _limit(s, 2)
    _limit(s, 1, "m")
    for names, number in (("l", 1), ("lm", 1), ("l", 1), ("m", 1), ("l", 3), ("lx", 1), ("x", 1)):
        s.post(
            f"{PATH}/increment",
            {"names": [s.name(name) for name in names], "slots": number},
            unordered=("body",),
            ignore=LEFT_TO_CHANCE,
        )
        _rows(s)
        _rows(s, "m")
    for names, number in (("m", 1), ("l", 1), ("l", 5), ("lmx", 1)):
        body = {"names": [s.name(name) for name in names], "slots": number, "occupancy_seconds": 3.5}
        s.post(f"{PATH}/decrement", body, unordered=("body",))
        _rows(s)
        _rows(s, "m")
    for mode in ("rate_limit", "concurrency", "x"):
        s.post(f"{PATH}/increment", {"names": [s.name("l")], "slots": 1, "mode": mode}, ignore=LEFT_TO_CHANCE)
    s.post(f"{PATH}/increment", {"names": [s.name("l")], "slots": 1, "create_if_missing": True})


@sequence
def rates(s: Script) -> None:
    """Slots that come back by themselves."""
    _limit(s, 3, slot_decay_per_second=0.001)
    for _ in range(5):
        s.post(f"{PATH}/increment", {"names": [s.name("l")], "slots": 1, "mode": "rate_limit"}, ignore=LEFT_TO_CHANCE)
        s.get(f"{PATH}/{s.name('l')}")
    _rows(s)


@sequence
def leases(s: Script) -> None:
    """Slots for a time."""
    _limit(s, 2)
    body = {"names": [s.name("l")], "slots": 1}
    holder = {"type": "flow_run", "id": s.uuid("run")}
    first = s.post(f"{PATH}/increment-with-lease", {**body, "lease_duration": 60, "holder": holder})
    second = s.post(f"{PATH}/increment-with-lease", body)
    s.post(f"{PATH}/increment-with-lease", body, ignore=LEFT_TO_CHANCE)
    s.post(f"{PATH}/increment-with-lease", {**body, "names": [s.name("x")]})
    for lease in (first["lease_id"], second["lease_id"], s.uuid()):
        s.post(f"{PATH}/leases/{lease}/renew", {"lease_duration": 120})
        s.post(f"{PATH}/leases/{lease}/renew")
        s.post(f"{PATH}/leases/{lease}/renew", {"lease_duration": 1})
        s.post(f"{PATH}/decrement-with-lease", {"lease_id": lease})
        s.post(f"{PATH}/decrement-with-lease", {"lease_id": lease})
        _rows(s)
    for lease in ("x", "1", "null", "%20", "00000000-0000-4000-8000-00000000000", "00000000000040008000000000000000"):
        s.post(f"{PATH}/leases/{lease}/renew", {"lease_duration": 120})
        s.post(f"{PATH}/leases/{lease}/renew", {"lease_duration": "x"})
        s.get(f"{PATH}/leases/{lease}/renew")
    for wrong in WRONG:
        s.post(f"{PATH}/decrement-with-lease", {"lease_id": wrong})
        s.post(f"{PATH}/increment-with-lease", {**body, "holder": wrong}, ignore=LEFT_TO_CHANCE)
        s.post(f"{PATH}/increment-with-lease", {**body, "lease_duration": wrong}, ignore=LEFT_TO_CHANCE)


@sequence(independent=True)
def bad_input(s: Script) -> None:
    """Bodies, fields and methods that are none."""
    good = {"name": s.name("bad"), "limit": 1}
    bad_bodies(s, "POST", f"{PATH}/", good)
    bad_content_types(s, "POST", f"{PATH}/", f'{{"name": "{s.name("typed")}", "limit": 1}}')
    fields = ("name", "limit", "active", "active_slots", "denied_slots", "slot_decay_per_second")
    bad_fields(s, "POST", f"{PATH}/", good, fields)
    for field in fields:
        for value in WRONG:
            s.patch(f"{PATH}/{s.name('nobody')}", {field: value})
    nobody = {"names": [s.name("nobody")], "slots": 1}
    for path in ("increment", "decrement", "increment-with-lease"):
        bad_bodies(s, "POST", f"{PATH}/{path}", nobody)
        bad_content_types(s, "POST", f"{PATH}/{path}", f'{{"names": ["{s.name("nobody")}"], "slots": 1}}')
        bad_fields(s, "POST", f"{PATH}/{path}", nobody, ("names", "slots", "mode", "occupancy_seconds"))
    for body in ({"limit": 0}, {"limit": 201}, {"limit": -1}, {"offset": -1}, {"offset": 10**6}, [], "x"):
        s.post(f"{PATH}/filter", body, ignore=OTHERS_ROWS)
    wrong_methods(s, f"{PATH}/", ("POST",))
    wrong_methods(s, f"{PATH}/filter", ("POST",))
    wrong_methods(s, f"{PATH}/increment", ("POST",))
