"""Random background tasks: several keys, workers that take some of them, acknowledge or break off."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences._make import state, task_history
from ..sequences.task_workers import PATH


def _delayed(s: Script, rng: Random, key: str, number: int) -> Ref:
    details: dict[str, Any] = {"deferred": rng.random() < 0.85, "task_parameters_id": s.uuid(f"parameters {number}")}
    if rng.random() < 0.2:
        details["scheduled_time"] = s.now(rng.choice([-60, 600]))
    body = {"task_key": s.name(key), "dynamic_key": f"{number}", "state": state("SCHEDULED", state_details=details)}
    return s.post("/task_runs/", body)


@generator
def queues(s: Script, rng: Random) -> None:
    """Tasks of up to two keys; one worker after the other takes some."""
    keys = rng.sample("ab", rng.choice([1, 1, 2]))
    made: list[tuple[str, Ref]] = []
    for _ in range(rng.randrange(2, 5)):
        for _ in range(rng.randrange(4)):
            key = rng.choice(keys)
            made.append((key, _delayed(s, rng, key, len(made))))
        # One key at a time: of several, which comes first is chance.
        subscribe = {"type": "subscribe", "keys": [s.name(rng.choice(keys))], "client_id": "me"}
        # What the worker before it has not acknowledged is given back when its connection is seen to be gone.
        talk: list[tuple[Any, ...]] = [("wait", 0.5), ("send", subscribe)]
        for _ in range(rng.randrange(1, 4)):
            talk += [("silence", 0.4), ("send", {"type": "ack"})]
        talk += rng.choice([[], [("silence", 0.3)]])
        s.socket(PATH, *talk)
    for _, task in made:
        task_history(s, task)
