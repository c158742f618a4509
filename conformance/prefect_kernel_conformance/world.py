"""A data set with equal ids in both databases, over which generated filters run.

Every column that a filter or a sort can look at takes several values, null and ties included. Ids are fixed, so a
second run on the same databases finds the data set in place.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from .databases import Database
from .judge import Judge

STATE_TYPES = (
    "SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING",
)  # fmt: skip
STATE_NAMES = {
    "SCHEDULED": ("Scheduled", "Late", "AwaitingRetry"),
    "PENDING": ("Pending", "Submitting"),
    "RUNNING": ("Running", "Retrying"),
    "COMPLETED": ("Completed", "Cached"),
    "FAILED": ("Failed", "TimedOut"),
    "CANCELLED": ("Cancelled",),
    "CRASHED": ("Crashed",),
    "PAUSED": ("Paused", "Suspended"),
    "CANCELLING": ("Cancelling",),
}
TERMINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
TAGS = ("blue", "green", "red", "UPPER", "per%cent", "unter_strich", "ünïcode")
NAMES = ("alpha", "Beta", "gamma_delta", "per%cent", "ALPHA", "omega", "beta-2", "ünïcode")
VERSIONS = ("v1", "v2", None)
QUEUES = ("default", "fast", "slow")
EVENT_NAMES = ("prefect.flow-run.Running", "prefect.flow-run.Failed", "my.event", "My.Event", "other")
ROLE = "prefect.resource.role"
LEVELS = (10, 20, 25, 30, 40, 50)
FLOWS, DEPLOYMENTS, POOLS, FLOW_RUNS, TASK_RUNS, LOGS, EVENTS = 12, 8, 3, 120, 150, 150, 90
# Times are whole and fixed, a day and more before the first run of anything: `now` must not matter to filters.
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def world_id(kind: str, number: int) -> str:
    """The id of the nth thing of a kind; ids of one kind sort in an order that is not that of their numbers."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"world {kind} {number}"))


def when(minutes: float) -> str:
    """A time of the data set."""
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rows() -> Iterator[tuple[str, dict[str, Any]]]:
    """All rows in an order that foreign keys allow."""
    rng = Random("world")
    for number in range(FLOWS):
        yield (
            "flow",
            _base("flow", number)
            | {
                "name": f"world-{_allowed(NAMES[number % len(NAMES)])}-{number}",
                "tags": _tags(rng),
                "labels": rng.choice([{}, {"team": "a"}, None]),
            },
        )
    yield from _pools(rng)
    for number in range(DEPLOYMENTS):
        yield "deployment", _deployment(rng, number)
    yield from _runs(rng)
    for number in range(LOGS):
        yield (
            "log",
            _base("log", number)
            | {
                "name": rng.choice(["prefect.flow_runs", "prefect.task_runs", "my.Logger"]),
                "level": rng.choice(LEVELS),
                "message": rng.choice(
                    ["started", "Finished in state", 'said "so"', "100% done", "under_score", "größe"]
                )
                + f" {number}",
                "flow_run_id": rng.choice([world_id("flow_run", rng.randrange(FLOW_RUNS)), None]),
                "task_run_id": rng.choice([world_id("task_run", rng.randrange(TASK_RUNS)), None, None]),
                # No two at the same time: the order of ties is the database's own business.
                "timestamp": when(number * 7 % LOGS),
            },
        )
    yield from _events(rng)


def _base(kind: str, number: int) -> dict[str, Any]:
    return {"id": world_id(kind, number), "created": when(number), "updated": when(number * 7 % 113 + 0.5)}


def _allowed(name: str) -> str:
    """The name without what Prefect does not allow in names of flows and deployments."""
    return name.replace("%", "-percent-")


def _tags(rng: Random) -> list[str]:
    return rng.sample(TAGS, rng.choice([0, 0, 1, 2, 3]))


def _pools(rng: Random) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(POOLS):
        yield (
            "work_pool",
            _base("work_pool", number)
            | {
                "name": f"world-pool-{number}",
                "type": rng.choice(["process", "docker"]),
                "base_job_template": {},
                "is_paused": number == 2,
                "status": "NOT_READY",
            },
        )
        for place, name in enumerate(QUEUES):
            queue = number * len(QUEUES) + place
            yield (
                "work_queue",
                _base("work_queue", queue)
                | {
                    "name": name,
                    "priority": place + 1,
                    "work_pool_id": world_id("work_pool", number),
                    "status": "NOT_READY",
                },
            )


def _deployment(rng: Random, number: int) -> dict[str, Any]:
    queue = rng.choice([None, *range(POOLS * len(QUEUES))])
    return _base("deployment", number) | {
        "name": f"{_allowed(NAMES[number % len(NAMES)])}-deployment",
        "flow_id": world_id("flow", number % (FLOWS - 3)),
        "tags": _tags(rng),
        "paused": rng.random() < 0.3,
        "status": "NOT_READY",
        "work_queue_id": None if queue is None else world_id("work_queue", queue),
        "work_queue_name": None if queue is None else QUEUES[queue % len(QUEUES)],
        "parameter_openapi_schema": {},
        "labels": {},
        "version": rng.choice(VERSIONS),
    }


def _times(rng: Random, number: int, state: str) -> dict[str, Any]:
    """Times that fit the state. Distinct, so that sorting by them has one right answer."""
    expected = number * 11 % 997
    started = state in TERMINAL or state in ("RUNNING", "PAUSED", "CANCELLING")
    ended = state in TERMINAL
    return {
        "expected_start_time": when(expected),
        "next_scheduled_start_time": when(expected) if state == "SCHEDULED" else None,
        "start_time": when(expected + rng.choice([0, 1.25, 60])) if started and rng.random() < 0.9 else None,
        "end_time": when(expected + 61 + number / 128) if ended else None,
        "total_run_time": rng.choice([0.0, 1.5, 75.25]) if started else 0.0,
        "state_timestamp": when(expected + 62),
    }


def _runs(rng: Random) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(FLOW_RUNS):
        state = rng.choice(STATE_TYPES) if number % 19 else None
        yield from _flow_run(rng, number, state)
    for number in range(TASK_RUNS):
        state = rng.choice(STATE_TYPES) if number % 23 else None
        row = _base("task_run", number) | _times(rng, number, state or "")
        name = rng.choice(STATE_NAMES[state]) if state else None
        yield (
            "task_run",
            row
            | {
                "name": f"{rng.choice(NAMES)}-task-{number}",
                "task_key": f"world_task_{number % 7}",
                "dynamic_key": f"{number}",
                "flow_run_id": world_id("flow_run", rng.randrange(60)) if number % 5 else None,
                "tags": _tags(rng),
                "labels": {},
                "task_inputs": {"x": []},
                "empirical_policy": {"retries": 0, "retry_delay": 0},
                "run_count": rng.randrange(3),
                "state_type": state,
                "state_name": name,
                "state_id": world_id("task_run_state", number) if state else None,
                "state_timestamp": row["state_timestamp"] if state else None,
            },
        )
        if state:
            yield "task_run_state", _state("task_run", number, state, name or "", row["state_timestamp"])
    for number in range(60, FLOW_RUNS, 9):
        # Subflows: their tracking tasks exist only now.
        yield "flow_run?", {"id": world_id("flow_run", number), "parent_task_run_id": world_id("task_run", number)}


def _flow_run(rng: Random, number: int, state: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    deployment = rng.choice([None, *range(DEPLOYMENTS)])
    flow = rng.randrange(FLOWS) if deployment is None else deployment % (FLOWS - 3)
    queue = rng.choice([None, *range(POOLS * len(QUEUES))])
    row = _base("flow_run", number) | _times(rng, number, state or "")
    name = rng.choice(STATE_NAMES[state]) if state else None
    kind = rng.choice(["DEPLOYMENT", "AUTOMATION"])
    maker = {"id": world_id("maker", number % 3), "type": kind, "display_value": "x"}
    yield (
        "flow_run",
        row
        | {
            "name": f"{rng.choice(NAMES)}-run-{number}",
            "flow_id": world_id("flow", flow),
            "deployment_id": None if deployment is None else world_id("deployment", deployment),
            "deployment_version": rng.choice(VERSIONS),
            "work_queue_id": None if queue is None else world_id("work_queue", queue),
            "work_queue_name": None if queue is None else QUEUES[queue % len(QUEUES)],
            "flow_version": rng.choice(VERSIONS),
            "idempotency_key": rng.choice([None, f"world key {number}"]),
            "parameters": rng.choice([{}, {"x": 1, "y": [1.5, None]}]),
            "context": {},
            "empirical_policy": {"retries": None, "retry_delay": None, "pause_keys": [], "resuming": False},
            "tags": _tags(rng),
            "labels": {},
            "auto_scheduled": rng.random() < 0.2,
            "created_by": rng.choice([None, maker]),
            "run_count": rng.randrange(4),
            "job_variables": {},
            "state_type": state,
            "state_name": name,
            "state_id": None,
            "state_timestamp": row["state_timestamp"] if state else None,
        },
    )
    if state:
        yield "flow_run_state", _state("flow_run", number, state, name or "", row["state_timestamp"])
        yield "flow_run?", {"id": row["id"], "state_id": world_id("flow_run_state", number)}


def _state(kind: str, number: int, state: str, name: str, timestamp: str) -> dict[str, Any]:
    return _base(f"{kind}_state", number) | {
        f"{kind}_id": world_id(kind, number),
        "type": state,
        "name": name,
        "message": None if number % 2 else "so it is",
        "timestamp": timestamp,
        "state_details": {f"{kind}_id": world_id(kind, number)},
    }


def _events(rng: Random) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(EVENTS):
        run = world_id("flow_run", rng.randrange(20))
        resource = {
            "prefect.resource.id": f"prefect.flow-run.{run}",
            "prefect.resource.name": rng.choice(NAMES),
            "colour": rng.choice(TAGS),
        }
        related = [
            {"prefect.resource.id": f"prefect.flow.{world_id('flow', rng.randrange(FLOWS))}", ROLE: role}
            for role in rng.sample(["flow", "tag", "owner"], rng.randrange(3))
        ]
        event, occurred = world_id("event", number), when(number * 37 % 541 + number / 64)
        yield (
            "events",
            _base("event", number)
            | {
                "event": rng.choice(EVENT_NAMES),
                "occurred": occurred,
                "resource_id": resource["prefect.resource.id"],
                "resource": resource,
                "related": related,
                "related_resource_ids": [item["prefect.resource.id"] for item in related],
                "payload": rng.choice([{}, {"text": "größe 100%"}, {"n": [1, 2.5, None]}]),
                "received": occurred,
                "recorded": occurred,
                "follows": rng.choice([None, world_id("event", 0)]),
            },
        )
        for place, item in enumerate([{**resource, ROLE: ""}, *related]):
            yield (
                "event_resources",
                {
                    "id": world_id(f"event {number} resource", place),
                    "created": occurred,
                    "updated": occurred,
                    "occurred": occurred,
                    "resource_id": item["prefect.resource.id"],
                    "resource_role": item[ROLE],
                    "resource": {name: value for name, value in item.items() if value},
                    "event_id": event,
                },
            )


def seed_both(judge: Judge) -> None:
    """Put the data set into both databases, where it is not there yet."""
    for side in (judge.reference, judge.kernel):
        assert side.database is not None
        seed(side.database)


def seed(database: Database) -> None:
    """Put the data set into a database."""
    if database.select("flow", {"id": world_id("flow", 0)}, columns=["id"]):
        return
    for table, row in rows():
        if table.endswith("?"):
            values = dict(row)
            database.update(table.removesuffix("?"), {"id": values.pop("id")}, values)
        else:
            database.insert(table, row)
