"""Random lives of deployments: made again, changed, scheduled, paused, run; and bodies with something wrong in them."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Ref, Script, generator
from ..sequences._make import flow, set_state, work_pool
from ..sequences.deployments import ANCHOR, DAILY, HOURLY, SCHEMA, TEMPLATE, read
from ._mangle import mangle

GROUP = "deployments"
PARAMETERS = ({}, {"x": 1}, {"x": "1"}, {"x": 1, "y": "b"}, {"x": 2, "when": None}, {"y": 3}, {"x": 1, "z": [1]})
SCHEDULES: tuple[dict[str, Any], ...] = (
    HOURLY, DAILY, {"schedule": {"interval": 90.5, "anchor_date": ANCHOR, "timezone": "Asia/Tokyo"}},
    {"schedule": {"rrule": "DTSTART:20240101T000000\nFREQ=WEEKLY;BYDAY=MO", "timezone": "Europe/Berlin"}},
    {"schedule": {"cron": "*/7 3 1 * 2", "day_or": False}}, {"schedule": {"cron": "@hourly", "timezone": "UTC"}},
)  # fmt: skip


def _schedule(rng: Random) -> dict[str, Any]:
    made = dict(rng.choice(SCHEDULES))
    if rng.random() < 0.4:
        made["active"] = rng.random() < 0.5
    if rng.random() < 0.4:
        made["slug"] = rng.choice("abc")
    if rng.random() < 0.2:
        made["replaces"] = rng.choice("abc")
    if rng.random() < 0.2:
        made["parameters"] = rng.choice(PARAMETERS)
    if rng.random() < 0.2:
        made["max_scheduled_runs"] = rng.randrange(1, 5)
    return made


def _members(s: Script, rng: Random) -> dict[str, Any]:
    made: dict[str, Any] = {}
    choices: dict[str, tuple[Any, ...]] = {
        "tags": ([], ["a"]), "description": (None, "d", ""), "version": (None, "1", "2"),
        "parameters": PARAMETERS, "enforce_parameter_schema": (True, False), "paused": (True, False),
        "parameter_openapi_schema": (SCHEMA, {}, None), "job_variables": ({}, {"image": "i"}, {"image": 1}),
        "concurrency_limit": (None, 1, 3), "path": (None, "/x"), "entrypoint": ("f.py:f",),
        "concurrency_options": (None, {"collision_strategy": "CANCEL_NEW"}, {"collision_strategy": "ENQUEUE"}),
        "work_pool_name": (s.name("pool"), None, s.name("nobody")), "work_queue_name": (s.name("new"), None),
        "pull_steps": (None, [], [{"a": {"b": 1}}]),
    }  # fmt: skip
    for name in rng.sample(sorted(choices), rng.randrange(6)):
        made[name] = rng.choice(choices[name])
    return made


def _run(s: Script, rng: Random) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if rng.random() < 0.5:
        body["parameters"] = rng.choice(PARAMETERS)
    if rng.random() < 0.3:
        body["enforce_parameter_schema"] = rng.random() < 0.5
    if rng.random() < 0.5:
        details = {"scheduled_time": s.now(rng.choice([-60, 600]))}
        body["state"] = {"type": rng.choice(["SCHEDULED", "SCHEDULED", "PENDING"]), "state_details": details}
    if rng.random() < 0.3:
        body["tags"] = ["a"]  # with others, the order of those of the deployment and of the run is chance
    if rng.random() < 0.3:
        body["idempotency_key"] = s.name(rng.choice(["k", "l"]))
    if rng.random() < 0.2:
        body["job_variables"] = rng.choice([{"cpu": 1}, {"image": 2}])
    if rng.random() < 0.2:
        body["work_queue_name"] = s.name(rng.choice(["new", "other"]))  # names that no other pool has
    return body


@generator(weight=3)
def lives(s: Script, rng: Random) -> None:
    """A deployment or two, and what is done with them."""
    of = flow(s)
    work_pool(s, base_job_template=TEMPLATE if rng.random() < 0.3 else {})
    made: list[Ref] = []
    for _ in range(rng.randrange(4, 11)):
        _step(s, rng, of, made)
    for one in made:
        s.get(f"/deployments/{one['id']}")


def _step(s: Script, rng: Random, of: Ref, made: list[Ref]) -> None:
    what = rng.randrange(12) if made else 0
    path = f"/deployments/{rng.choice(made)['id']}" if made else ""
    match what:
        case 0 | 1:
            body = {"name": s.name(rng.choice("ab")), "flow_id": of["id"], **_members(s, rng)}
            if rng.random() < 0.5:
                # Slugs are unique, and two of one name in one request are refused by the database.
                body["schedules"] = [_schedule(rng) for _ in range(rng.randrange(3))]
            made.append(s.post("/deployments/", body))
        case 2 | 3:
            body = _members(s, rng)
            if rng.random() < 0.3:
                body["schedules"] = [_schedule(rng) for _ in range(rng.randrange(3))]
            s.patch(path, body)
        case 4:
            s.post(f"{path}/schedules", [_schedule(rng) for _ in range(rng.randrange(3))])
            s.get(f"{path}/schedules")
        case 5:
            s.post(f"{path}/{rng.choice(['pause', 'resume'])}_deployment")
        case 6:
            more = {"min_runs": rng.randrange(1, 4), "max_runs": rng.randrange(4, 8)}
            s.post(f"{path}/schedule", {"start_time": "2031-05-01T00:30:00Z", **more})
            mine = {"deployments": {"id": {"any_": [made[0]["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
            s.post("/flow_runs/count", mine)
        case 7 if rng.random() < 0.3:
            s.delete(path)
        case 8:
            read(s, rng.choice(made))
        case _:
            run = s.post(f"{path}/create_flow_run", _run(s, rng))
            if rng.random() < 0.4:
                set_state(s, run, rng.choice(["PENDING", "RUNNING", "COMPLETED"]))


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    of = flow(s)
    work_pool(s, base_job_template=TEMPLATE)
    made = s.post("/deployments/", {"name": s.name("d"), "flow_id": of["id"], "parameter_openapi_schema": SCHEMA})
    whole = {
        "name": s.name("d"), "flow_id": of["id"], "paused": False, "schedules": [HOURLY, {"slug": "a", **DAILY}],
        "concurrency_limit": 1, "concurrency_options": {"collision_strategy": "ENQUEUE", "grace_period_seconds": 90},
        "parameters": {"x": 1}, "parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": True, "tags": ["a"],
        "labels": {"l": 1}, "work_pool_name": s.name("pool"), "work_queue_name": "q", "job_variables": {"image": "i"},
        "description": "d", "path": "p", "entrypoint": "e", "version": "1", "pull_steps": [{"a": {}}],
    }  # fmt: skip
    path = f"/deployments/{made['id']}"
    run = {
        "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": s.now(60)}}, "name": s.name("run"),
        "parameters": {"x": 1}, "context": {}, "tags": ["a"], "labels": {"l": 1}, "idempotency_key": s.name("k"),
        "enforce_parameter_schema": True, "work_queue_name": "q", "job_variables": {"image": "i"},
        "empirical_policy": {"retries": 1, "retry_delay": 2},
    }  # fmt: skip
    mangle(s, rng, {
        ("POST", "/deployments/"): whole,
        ("PATCH", path): {name: value for name, value in whole.items() if name not in ("name", "flow_id")},
        ("POST", f"{path}/schedules"): [{"slug": "s", "active": True, "max_scheduled_runs": 2, **HOURLY}, DAILY],
        ("POST", f"{path}/create_flow_run"): run,
        ("POST", f"{path}/create_flow_run/bulk"): [run, {"parameters": {"x": 2}}],
        ("POST", f"{path}/schedule"): {"start_time": "2031-05-01T00:30:00Z", "min_runs": 1, "max_runs": 2},
    })  # fmt: skip
    read(s, made)
