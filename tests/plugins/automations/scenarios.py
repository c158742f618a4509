"""Random automations, and random events for them: plain data that the model, the kernel and Prefect are all given.

Times are seconds from the beginning. Few names, resources and labels are used, so that most events matter to something.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

NAMES = ("a", "ab", "b", "c")
PATTERNS = ("a", "a*", "b", "c", "*", "?", "!a", "[ab]")
RESOURCES = ("r1", "r2", "s1")
LATE = 50
"""How many seconds too late events come at most: less than Prefect keeps windows that are over."""


def scenario(seed: int) -> dict[str, Any]:
    """The automations, and the steps: when the clock says what, and which events come then."""
    chance = random.Random(seed)
    automations = [_trigger(chance, depth=0) for _ in range(chance.randint(1, 5))]
    ids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(chance.randint(4, 24))]
    events = [_event(chance, id, ids) for id in ids]
    if chance.random() < 0.3:
        events += chance.sample(events, 2)  # they come twice
    steps: list[dict[str, Any]] = []
    now = 0
    while events or chance.random() < 0.7:
        now += chance.choice((0, 0, 1, 5, 10, 20, 60, 61, 200) + ((1000,) if chance.random() < 0.2 else ()))
        taken = [events.pop(0) for _ in range(min(len(events), chance.choice((0, 1, 1, 2, 5))))]
        for one in taken:
            occurred = max(0, now - chance.choice((0, 0, 0, 1, 5, 20, LATE))) - chance.choice((0, 0, -3))
            # In which order Prefect looks at those that followed one event and occurred at one time is not said.
            one.setdefault("occurred", occurred + (ids.index(one["id"]) / 1000 if "follows" in one else 0))
        steps.append({"now": now, "events": [dict(one) for one in taken]})
    return {"automations": automations, "steps": steps, "batch": chance.choice((1, 2, 3, 200))}


def _trigger(chance: random.Random, depth: int) -> dict[str, Any]:
    if depth < 2 and chance.random() < (0.4 if depth == 0 else 0.25):
        parts = [_trigger(chance, depth + 1) for _ in range(chance.randint(1, 3))]
        # Half seconds: whether two firings are exactly that far apart is a question of microseconds.
        made: dict[str, Any] = {"triggers": parts, "within": chance.choice((None, None, 0, 7.5, 30.5, 500.5))}
        if chance.random() < 0.5:
            return made | {"type": "sequence"}
        return made | {"type": "compound", "require": chance.choice(("any", "all", chance.randint(1, len(parts))))}
    proactive = chance.random() < 0.35
    made = {
        "type": "event",
        "posture": "Proactive" if proactive else "Reactive",
        "expect": chance.sample(PATTERNS, chance.choice((0, 1, 1, 1, 2))),
        "after": chance.sample(PATTERNS, 1) if chance.random() < 0.3 else [],
        "for_each": chance.choice(([], [], ["prefect.resource.id"], ["k", "related:flow:k"])),
        "threshold": chance.choice((1, 1, 1, 2, 3, 0)),
        "within": chance.choice((10, 20, 60) if proactive else (0, 0, 5, 20, 60)),
    }
    if proactive and depth:
        made["for_each"] = []  # in which order its windows are looked at is not said, and a sequence tells
    if chance.random() < 0.4:
        wanted: Any = chance.choice(("r1", "r*", "!r1", ["r1", "s?"], []))
        made["match"] = {"prefect.resource.id": wanted} | ({"k": "!x"} if chance.random() < 0.3 else {})
    if chance.random() < 0.2:
        flow = {"prefect.resource.role": "flow", "k": chance.choice(("x", "!x", ["x", "y"]))}
        made["match_related"] = chance.choice((flow, [flow, {"prefect.resource.id": "f*"}], {}))
    return made


def _event(chance: random.Random, id: str, ids: list[str]) -> dict[str, Any]:
    labels = {"k": chance.choice("xy")} if chance.random() < 0.6 else {}
    flow = {"prefect.resource.id": f"f{chance.randint(1, 2)}", "prefect.resource.role": "flow"}
    tag = {"prefect.resource.id": "t", "prefect.resource.role": "tag", "k": "x"}
    made: dict[str, Any] = {
        "id": id,
        "event": chance.choice(NAMES),
        "resource": {"prefect.resource.id": chance.choice(RESOURCES)} | labels,
        "related": chance.choice(([], [], [tag], [flow | {"k": chance.choice("xy")}], [tag, flow])),
    }
    if chance.random() < 0.2:
        made["follows"] = chance.choice((*ids, str(uuid.UUID(int=chance.getrandbits(128), version=4))))
    return made
