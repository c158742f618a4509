"""Random lives of limits by tag: slots taken and given back by a few task runs, limits changed, reset and deleted."""

from __future__ import annotations

from random import Random

from ..script import Script, generator
from ..sequences.concurrency_limits import PATH
from ._mangle import mangle

TAGS = ("a", "b", "c")
RUNS = ("one", "two", "three", "four")
SLOTS = ("body.active_slots",)  # a set


def _step(s: Script, rng: Random, several: bool) -> None:
    tag = s.name(rng.choice(TAGS))
    number = rng.choice([1, 2, 3]) if several else 1
    slots = {
        "names": [s.name(name) for name in rng.sample((*TAGS, "nobody"), number)],
        "task_run_id": s.uuid(rng.choice(RUNS)),
    }
    match rng.randrange(12):
        case 0:
            s.post(f"{PATH}/", {"tag": tag, "concurrency_limit": rng.randrange(4)}, unordered=SLOTS)
        case 1 if not several:  # who holds slots of several, see `deleted_one_of_two`
            s.delete(f"{PATH}/tag/{tag}")
        case 2:
            holders = rng.choice([None, [], [s.uuid(run) for run in rng.sample(RUNS, 2)]])
            s.post(f"{PATH}/tag/{tag}/reset", rng.choice([{}, {"slot_override": holders}]))
        case 3:
            s.patch(f"/v2/concurrency_limits/tag:{tag}", rng.choice([
                {"limit": rng.randrange(3)}, {"active": rng.random() < 0.5}, {"active_slots": rng.randrange(3)},
            ]))  # fmt: skip
        case 4 | 5 | 6:
            s.post(f"{PATH}/decrement", slots, unordered=("body",))
        case _:
            s.post(f"{PATH}/increment", slots, unordered=("body",))


@generator(weight=3)
def lives(s: Script, rng: Random) -> None:
    """A few limits and the task runs that share them."""
    for tag in TAGS[: rng.randrange(1, 4)]:
        s.post(f"{PATH}/", {"tag": s.name(tag), "concurrency_limit": rng.randrange(4)}, unordered=SLOTS)
    several = rng.random() < 0.5
    for _ in range(rng.randrange(5, 16)):
        _step(s, rng, several)
        if rng.random() < 0.4:
            s.get(f"{PATH}/tag/{s.name(rng.choice(TAGS))}", unordered=SLOTS)
    for tag in TAGS:
        s.get(f"{PATH}/tag/{s.name(tag)}", unordered=SLOTS)
        s.rows(
            "concurrency_limit_v2", columns=["limit", "active", "active_slots", "denied_slots"],
            name=f"tag:{s.name(tag)}",
        )  # fmt: skip


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    tag = s.name("a")
    s.post(f"{PATH}/", {"tag": tag, "concurrency_limit": 2})
    slots = {"names": [tag, s.name("b")], "task_run_id": s.uuid("one")}
    mangle(s, rng, {
        ("POST", f"{PATH}/"): {"tag": tag, "concurrency_limit": 1},
        ("POST", f"{PATH}/increment"): slots,
        ("POST", f"{PATH}/decrement"): slots,
        ("POST", f"{PATH}/tag/{tag}/reset"): {"slot_override": [s.uuid("one"), s.uuid("two")]},
    }, unordered=("body", *SLOTS))  # fmt: skip
    s.get(f"{PATH}/tag/{tag}", unordered=SLOTS)
