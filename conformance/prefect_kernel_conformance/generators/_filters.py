"""Random filter bodies over the data set of `world`: every object, field and operator that the filters have."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from random import Random
from typing import Any

from .. import world

Make = Callable[[Random], Any]


def some(values: Any, most: int = 3) -> Make:
    """A list of a few of the values; now and then empty, now and then with one that nothing has."""

    def make(rng: Random) -> list[Any]:
        chosen = rng.sample(list(values), min(len(values), rng.choice([0, 1, 1, 2, most])))
        if chosen and rng.random() < 0.1:
            chosen.append("nobody" if isinstance(chosen[0], str) and len(chosen[0]) != 36 else chosen[0])
        return chosen

    return make


def ids(kind: str, count: int) -> Make:
    """A list of ids of a kind, unknown ones among them."""

    def make(rng: Random) -> list[str]:
        chosen = [world.world_id(kind, rng.randrange(count)) for _ in range(rng.choice([0, 1, 2, 5, 20]))]
        if rng.random() < 0.15:
            chosen.append(str(uuid.UUID(int=rng.getrandbits(128), version=4)))
        return chosen

    return make


def one(*values: Any) -> Make:
    """One of the values."""
    return lambda rng: rng.choice(values)


def time(rng: Random) -> str:
    """A time among those of the data set, in one of the ways to write it; sometimes just one that a row has."""
    when = world.when(rng.choice([rng.randrange(-10, 1100), rng.randrange(1100) + 0.5, rng.randrange(0, 997, 11)]))
    return rng.choice([when, when, when.replace("Z", "+00:00"), when[:19] + "+02:00", when.removesuffix("Z")])


def like(rng: Random) -> str:
    """Text to look for, wildcards included."""
    return rng.choice(
        ["alpha", "ALPHA", "a", "%", "_", "r%c", "beta-", "", "-run-1", "ünï", "Ü", "task", "nobody", "'"]
    )


FLAG = one(True, False)
TAG_LISTS = some(world.TAGS)
STATES = some(world.STATE_TYPES, 4)
STATE_NAMES = some(sorted({name for names in world.STATE_NAMES.values() for name in names}))
TAGS = {"all_": TAG_LISTS, "any_": TAG_LISTS, "is_null_": FLAG}
TIMES = {"before_": time, "after_": time}
NAME = {"any_": some(world.NAMES), "like_": like}
QUEUE_NAMES = some(world.QUEUES)
OPERATOR = one("and_", "or_")

FLOWS: dict[str, Any] = {
    "id": {"any_": ids("flow", world.FLOWS), "not_any_": ids("flow", world.FLOWS)},
    "deployment": {"is_null_": FLAG},
    "name": {
        "any_": some([f"world-{world.NAMES[n % len(world.NAMES)]}-{n}" for n in range(world.FLOWS)]),
        "like_": like,
    },
    "tags": {"all_": TAG_LISTS, "is_null_": FLAG},
}
FLOW_RUNS: dict[str, Any] = {
    "id": {"any_": ids("flow_run", world.FLOW_RUNS), "not_any_": ids("flow_run", world.FLOW_RUNS)},
    "name": {"any_": some([f"{name}-run-{n}" for name in world.NAMES for n in range(30)]), "like_": like},
    "tags": TAGS,
    "deployment_id": {"any_": ids("deployment", world.DEPLOYMENTS), "is_null_": FLAG},
    "work_queue_name": {"any_": QUEUE_NAMES, "is_null_": FLAG},
    "state": {
        "type": {"any_": STATES, "not_any_": STATES},
        "name": {"any_": STATE_NAMES, "not_any_": STATE_NAMES},
    },
    "flow_version": {"any_": some(["v1", "v2"])},
    "start_time": {**TIMES, "is_null_": FLAG},
    "end_time": {**TIMES, "is_null_": FLAG},
    "expected_start_time": TIMES,
    "next_scheduled_start_time": TIMES,
    "parent_flow_run_id": {"any_": ids("flow_run", 60)},
    "parent_task_run_id": {"any_": ids("task_run", world.TASK_RUNS), "is_null_": FLAG},
    "idempotency_key": {
        "any_": some([f"world key {n}" for n in range(40)]),
        "not_any_": some([f"world key {n}" for n in range(40)]),
    },
    "created_by": {"id_": ids("maker", 3), "type_": some(["DEPLOYMENT", "AUTOMATION"]), "is_null_": FLAG},
}
TASK_RUNS: dict[str, Any] = {
    "id": {"any_": ids("task_run", world.TASK_RUNS)},
    "name": {"any_": some([f"{name}-task-{n}" for name in world.NAMES for n in range(30)]), "like_": like},
    "tags": {"all_": TAG_LISTS, "is_null_": FLAG},
    "state": {"type": {"any_": STATES}, "name": {"any_": STATE_NAMES}},
    "start_time": {**TIMES, "is_null_": FLAG},
    "end_time": {**TIMES, "is_null_": FLAG},
    "expected_start_time": TIMES,
    "subflow_runs": {"exists_": FLAG},
    "flow_run_id": {"any_": ids("flow_run", 60), "is_null_": FLAG},
}
DEPLOYMENTS: dict[str, Any] = {
    "id": {"any_": ids("deployment", world.DEPLOYMENTS), "not_any_": ids("deployment", world.DEPLOYMENTS)},
    "name": {"any_": some([f"{name}-deployment" for name in world.NAMES]), "like_": like},
    "flow_or_deployment_name": {"like_": like},
    "paused": {"eq_": FLAG},
    "tags": TAGS,
    "work_queue_name": {"any_": QUEUE_NAMES},
    "concurrency_limit": {"ge_": one(0, 1, 5), "le_": one(0, 5), "is_null_": FLAG},
}
WORK_POOLS: dict[str, Any] = {
    "id": {"any_": ids("work_pool", world.POOLS)},
    "name": {"any_": some([f"world-pool-{n}" for n in range(world.POOLS)])},
    "type": {"any_": some(["process", "docker"])},
}
WORK_QUEUES: dict[str, Any] = {
    "id": {"any_": ids("work_queue", world.POOLS * len(world.QUEUES))},
    "name": {"any_": QUEUE_NAMES, "startswith_": some(["de", "F", "s", "x"])},
}
LOGS: dict[str, Any] = {
    "level": {"ge_": one(*world.LEVELS), "le_": one(*world.LEVELS)},
    "timestamp": TIMES,
    "flow_run_id": {"any_": ids("flow_run", world.FLOW_RUNS)},
    "task_run_id": {"any_": ids("task_run", world.TASK_RUNS), "is_null_": FLAG},
    "text": {
        "query": one("started", "STARTED -1", '"100% done"', "größe", "GRÖSSE", "+my +1", "!my", "under_score", "")
    },
}
OBJECTS = {
    "flows": FLOWS, "flow_runs": FLOW_RUNS, "task_runs": TASK_RUNS, "deployments": DEPLOYMENTS,
    "work_pools": WORK_POOLS, "work_pool_queues": WORK_QUEUES, "logs": LOGS,
}  # fmt: skip
# Members that have an `operator` of their own.
WITH_OPERATOR = {
    ("flows", "deployment"), ("flows", "tags"), ("flow_runs", "tags"), ("flow_runs", "deployment_id"),
    ("flow_runs", "work_queue_name"), ("flow_runs", "state"), ("flow_runs", "parent_flow_run_id"),
    ("flow_runs", "parent_task_run_id"), ("flow_runs", "created_by"), ("task_runs", "tags"), ("task_runs", "state"),
    ("task_runs", "flow_run_id"), ("deployments", "tags"),
}  # fmt: skip


def _members(rng: Random, declared: dict[str, Any]) -> dict[str, Any]:
    """A few of the members of a leaf, each made."""
    chosen = rng.sample(sorted(declared), min(len(declared), rng.choice([1, 1, 1, 2, 3])))
    made: dict[str, Any] = {}
    for name in chosen:
        member = declared[name]
        made[name] = _members(rng, member) if isinstance(member, dict) else member(rng)
        if rng.random() < 0.03:
            made[name] = None
    return made


def filter_object(rng: Random, key: str) -> dict[str, Any]:
    """A random filter of one kind of object."""
    declared = OBJECTS[key]
    made: dict[str, Any] = {}
    for field in rng.sample(sorted(declared), rng.choice([1, 1, 2, 2, 3, 4]) if len(declared) > 4 else 1):
        made[field] = _members(rng, declared[field])
        if (key, field) in WITH_OPERATOR and rng.random() < 0.3:
            made[field]["operator"] = OPERATOR(rng)
    if key != "logs" and rng.random() < 0.4:
        made["operator"] = OPERATOR(rng)
    return made


def filters(rng: Random, main: str, others: tuple[str, ...]) -> dict[str, Any]:
    """The filter objects of a request: mostly the one asked for, often others with it."""
    keys = [main] if rng.random() < 0.85 else []
    keys += rng.sample(others, min(len(others), rng.choice([0, 0, 0, 1, 1, 2])))
    return {key: filter_object(rng, key) for key in keys}
