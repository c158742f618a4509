"""Random lives of a pool: queues that come, go and change places, runs, claims, and polls in between."""

from __future__ import annotations

from random import Random
from typing import Any

from ..script import Script, generator
from ..sequences._bad_input import OTHERS_ROWS
from ..sequences._make import flow, set_state
from ..sequences.work_pools import SINCE, TEMPLATE, _scheduled, pool
from ._filters import filter_object
from ._mangle import mangle

POLLED = tuple(f"body{place}.{name}" for place in ("", "[]") for name in ("last_polled", "status", "updated"))
"""What Python Prefect writes some time after a poll."""


def _poll(s: Script, rng: Random, path: str, queues: list[str]) -> None:
    body: dict[str, Any] = {}
    if rng.random() < 0.4:
        body["work_queue_names"] = rng.sample(queues, rng.randrange(len(queues) + 1))
    if rng.random() < 0.6:
        body["scheduled_before"] = s.now(rng.choice([-300, 0, 300]))
    if rng.random() < 0.2:
        body["scheduled_after"] = s.now(rng.choice([-300, 0]))
    if rng.random() < 0.5:
        body["limit"] = rng.choice([0, 1, 2, 5, 200])
    s.post(f"{path}/get_scheduled_flow_runs", body)


@generator(weight=3)
def lives(s: Script, rng: Random) -> None:
    """A pool with a few queues and runs."""
    path = pool(s, concurrency_limit=rng.choice([None, None, 1, 3]), is_paused=rng.random() < 0.1)
    of, queues, runs = flow(s), ["default"], []
    for at in rng.sample(range(-600, 600, 7), rng.randrange(8, 16)):
        match rng.randrange(12):
            case 0 | 1:
                name = f"q{len(s.steps)}"
                given = {"priority": rng.randrange(1, 6)} if rng.random() < 0.6 else {}
                s.post(f"{path}/queues", {"name": name, "concurrency_limit": rng.choice([None, 0, 1, 2]), **given})
                queues.append(name)
            case 2:
                s.patch(f"{path}/queues/{rng.choice(queues)}", rng.choice([
                    {"priority": rng.randrange(1, 6)}, {"is_paused": True}, {"is_paused": False},
                    {"concurrency_limit": rng.choice([None, 0, 1, 2])},
                ]))  # fmt: skip
            case 3:
                s.patch(path, rng.choice([
                    {"is_paused": True}, {"is_paused": False}, {"concurrency_limit": rng.choice([None, 0, 2, 4])},
                ]))  # fmt: skip
            case 4 if len(queues) > 1:
                gone = queues.pop(rng.randrange(1, len(queues)))
                s.delete(f"{path}/queues/{gone}")
            case 5:
                s.post(f"{path}/workers/heartbeat", {"name": rng.choice("ab")})
            case 6 if runs:
                set_state(s, rng.choice(runs), rng.choice(["PENDING", "RUNNING", "COMPLETED", "CANCELLING"]))
            case 7:
                _poll(s, rng, path, queues)
            case _:
                runs.append(_scheduled(s, of, path, rng.choice(queues), at))
    _poll(s, rng, path, queues)
    s.get(path)
    s.post(f"{path}/queues/filter", {}, ignore=("body[].last_polled", "body[].updated", "body[].status"))
    # Runs come by their ids, which are random: with 1, the servers would show different ones.
    s.post(f"{path}/concurrency_status", {"flow_run_limit": rng.choice([0, 10, 50])}, ignore=SINCE)


@generator(world=True, pristine=True)
def queries(s: Script, rng: Random) -> None:
    """A random filter of pools. Python Prefect cannot show those of the data set: they have no default queue."""
    s.post("/work_pools/count", {"work_pools": filter_object(rng, "work_pools")})


@generator
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    path = pool(s, base_job_template=TEMPLATE)
    storage = {"bundle_upload_step": {"a": 1}, "default_result_storage_block_id": s.uuid("block")}
    whole = {
        "name": s.name("wrong"), "type": "process", "description": "d", "base_job_template": TEMPLATE,
        "is_paused": False, "concurrency_limit": 2, "storage_configuration": storage,
    }  # fmt: skip
    queue = {"name": "q", "description": "d", "is_paused": False, "concurrency_limit": 1, "priority": 2}
    poll = {"work_queue_names": ["default"], "scheduled_before": s.now(), "scheduled_after": s.now(-60), "limit": 2}
    mine = {"work_pools": {"name": {"any_": [path.rpartition("/")[2]]}, "type": {"any_": ["process"]}}, "limit": 2}
    mangle(s, rng, {
        ("POST", "/work_pools/"): whole,
        ("PATCH", path): {name: value for name, value in whole.items() if name not in ("name", "type")},
        ("POST", "/work_pools/filter"): mine,
        ("POST", f"{path}/queues"): queue,
        ("PATCH", f"{path}/queues/default"): {**queue, "name": "default"},
        ("POST", f"{path}/queues/filter"): {"work_queues": {"name": {"startswith_": ["d"]}}, "limit": 2, "offset": 0},
        ("POST", f"{path}/workers/heartbeat"): {"name": "w", "heartbeat_interval_seconds": 5},
        ("POST", f"{path}/workers/filter"): {"workers": {"status": {"any_": ["ONLINE"]}}, "limit": 3},
        ("POST", f"{path}/get_scheduled_flow_runs"): poll,
        ("POST", f"{path}/concurrency_status"): {"page": 1, "limit": 2, "flow_run_limit": 1},
    }, ignore=(*OTHERS_ROWS, *SINCE, *POLLED))  # fmt: skip
    s.get(path)
