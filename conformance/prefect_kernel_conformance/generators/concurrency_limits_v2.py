"""Random lives of global limits: slots with leases and without, limits that let go by themselves, and races."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences.concurrency_limits_v2 import LEFT_TO_CHANCE, PATH
from ._mangle import mangle

NAMES = ("a", "b", "c")
COLUMNS = ["name", "limit", "active", "active_slots", "denied_slots", "slot_decay_per_second"]


def _limit(s: Script, rng: Random, name: str) -> None:
    more: dict[str, Any] = {}
    if rng.random() < 0.2:
        more["active"] = rng.random() < 0.5
    if rng.random() < 0.3:
        more["active_slots"] = rng.randrange(3)
    if rng.random() < 0.2:
        more["slot_decay_per_second"] = 0.0001  # slow enough to give nothing back while a case lasts
    s.post(f"{PATH}/", {"name": s.name(name), "limit": rng.randrange(5), **more}, tolerance=5)


def _slots(s: Script, rng: Random) -> dict[str, Any]:
    names = rng.sample(NAMES, rng.choice([1, 1, 2, 3]))
    if rng.random() < 0.1:
        names.append("nobody")
    return {"names": [s.name(name) for name in names], "slots": rng.choice([1, 1, 1, 2, 3])}


def _take(s: Script, rng: Random, leases: list[Ref]) -> None:
    body = _slots(s, rng)
    if rng.random() < 0.3:
        body["mode"] = rng.choice(["concurrency", "rate_limit"])
        body["names"] = body["names"][:1]  # a refusal names them in the order of the database
    if rng.random() < 0.5:
        s.post(f"{PATH}/increment", body, unordered=("body",), ignore=LEFT_TO_CHANCE)
        return
    if rng.random() < 0.5:
        body["lease_duration"] = rng.choice([60, 300])
    if rng.random() < 0.5:
        body["holder"] = {"type": rng.choice(["flow_run", "task_run", "deployment"]), "id": s.uuid("holder")}
    answer = s.post(f"{PATH}/increment-with-lease", body, unordered=("body.limits",), ignore=LEFT_TO_CHANCE)
    leases.append(answer["lease_id"])


def _step(s: Script, rng: Random, leases: list[Ref]) -> None:
    name = s.name(rng.choice(NAMES))
    match rng.randrange(12):
        case 0:
            s.patch(f"{PATH}/{name}", rng.choice([
                {"limit": rng.randrange(5)}, {"active": rng.random() < 0.6}, {"active_slots": rng.randrange(4)},
                {"denied_slots": rng.randrange(4)}, {"slot_decay_per_second": 0.0}, {"name": s.name("a")},
            ]))  # fmt: skip
        case 1:
            s.get(f"{PATH}/{name}", tolerance=5)
        case 2 if rng.random() < 0.5:
            s.delete(f"{PATH}/{name}")
        case 2:
            _limit(s, rng, rng.choice(NAMES))
        case 3 | 4:
            more = {"occupancy_seconds": rng.choice([0, 0.5, 30])} if rng.random() < 0.5 else {}
            s.post(f"{PATH}/decrement", {**_slots(s, rng), **more}, unordered=("body",))
        case 5 if leases:
            s.post(f"{PATH}/leases/{rng.choice(leases)}/renew", {"lease_duration": rng.choice([1, 60, 600])})
        case 6 | 7 if leases:
            # A limit that does not come out at the same split second on both sides is not compared to the last digit.
            s.post(f"{PATH}/decrement-with-lease", {"lease_id": rng.choice(leases)})
        case _:
            _take(s, rng, leases)


@generator(weight=3)
def lives(s: Script, rng: Random) -> None:
    """A few limits and what is done with their slots."""
    leases: list[Ref] = []
    for name in NAMES[: rng.randrange(1, 4)]:
        _limit(s, rng, name)
    for _ in range(rng.randrange(5, 16)):
        _step(s, rng, leases)
        if rng.random() < 0.4:
            s.rows("concurrency_limit_v2", columns=COLUMNS, name=s.name(rng.choice(NAMES)))
    for name in NAMES:
        s.get(f"{PATH}/{s.name(name)}", tolerance=5)


@generator
def races(s: Script, rng: Random) -> None:
    """Several clients at once: as many get a slot as there are."""
    slots = rng.randrange(4)
    s.post(f"{PATH}/", {"name": s.name("a"), "limit": slots})
    body = {"names": [s.name("a")], "slots": 1}
    where = rng.choice(["increment", "increment-with-lease"])
    s.race(*[("POST", f"{PATH}/{where}", body) for _ in range(rng.randrange(2, 7))])
    s.rows("concurrency_limit_v2", columns=["limit", "active_slots"], name=s.name("a"))
    for _ in range(slots):
        s.post(f"{PATH}/decrement", body)
    s.rows("concurrency_limit_v2", columns=["limit", "active_slots"], name=s.name("a"))
    s.delete(f"{PATH}/{s.name('a')}")  # how many were denied depends on who came when
    s.race(*[("POST", f"{PATH}/", {"name": s.name("b"), "limit": 1}) for _ in range(3)])


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    name = s.name("a")
    s.post(f"{PATH}/", {"name": name, "limit": 2})
    slots = {"names": [name], "slots": 1, "mode": "concurrency", "create_if_missing": None}
    lease = {**slots, "lease_duration": 60, "holder": {"type": "flow_run", "id": s.uuid("run")}}
    limit = {
        "name": name, "limit": 1, "active": True, "active_slots": 0, "denied_slots": 0, "slot_decay_per_second": 0.0,
    }  # fmt: skip
    mangle(s, rng, {
        ("POST", f"{PATH}/"): limit,
        ("PATCH", f"{PATH}/{name}"): limit,
        ("POST", f"{PATH}/increment"): slots,
        ("POST", f"{PATH}/decrement"): {"names": [name], "slots": 1, "occupancy_seconds": 1.5},
        ("POST", f"{PATH}/increment-with-lease"): lease,
        ("POST", f"{PATH}/decrement-with-lease"): {"lease_id": s.uuid("lease")},
        ("POST", f"{PATH}/leases/{s.uuid('lease')}/renew"): {"lease_duration": 60},
    }, ignore=(*LEFT_TO_CHANCE, "body.avg_slot_occupancy_seconds"))  # fmt: skip
    s.rows("concurrency_limit_v2", columns=["name", "limit", "active", "active_slots"], name=name)
