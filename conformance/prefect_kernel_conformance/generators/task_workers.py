"""Random background tasks: several keys, workers that take some of them, acknowledge or break off."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences._make import state, task_history
from ..sequences.task_workers import PATH


def _delayed(s: Script, rng: Random, key: str, number: int, *, deferred: bool) -> Ref:
    details: dict[str, Any] = {"deferred": deferred, "task_parameters_id": s.uuid(f"parameters {number}")}
    if rng.random() < 0.2:
        details["scheduled_time"] = s.now(rng.choice([-60, 600]))
    body = {"task_key": s.name(key), "dynamic_key": f"{number}", "state": state("SCHEDULED", state_details=details)}
    return s.post("/task_runs/", body)


def _next(waiting: dict[str, int], key: str) -> tuple[Any, ...]:
    """Wait for a task as long as it takes where there must be one, and a moment where there is none."""
    if not waiting[key]:
        return "silence", 0.4
    waiting[key] -= 1
    return "receive", 1


@generator
def queues(s: Script, rng: Random) -> None:
    """Tasks of up to two keys; one worker after the other takes some."""
    keys = rng.sample("ab", rng.choice([1, 1, 2]))
    made: list[Ref] = []
    waiting = dict.fromkeys(keys, 0)
    for _ in range(rng.randrange(2, 5)):
        for _ in range(rng.randrange(4)):
            key = rng.choice(keys)
            deferred = rng.random() < 0.85
            waiting[key] += deferred
            made.append(_delayed(s, rng, key, len(made), deferred=deferred))
        # One key at a time: of several, which comes first is chance.
        key = rng.choice(keys)
        subscribe = {"type": "subscribe", "keys": [s.name(key)], "client_id": "me"}
        # What the worker before it has not acknowledged is given back when its connection is seen to be gone.
        talk: list[tuple[Any, ...]] = [("wait", 0.5), ("send", subscribe)]
        for _ in range(rng.randrange(1, 4)):
            talk += [_next(waiting, key), ("send", {"type": "ack"})]
        talk += rng.choice([[], [_next(waiting, key)]])
        s.socket(PATH, *talk)
    for task in made:
        task_history(s, task)
