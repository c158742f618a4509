"""Random queries of logs."""

from __future__ import annotations

from random import Random

from ..script import Script, generator
from ._filters import filter_object
from ._mangle import mangle


@generator(world=True, pristine=True)
def queries(s: Script, rng: Random) -> None:
    """A random filter of logs."""
    body = {"logs": filter_object(rng, "logs")}
    if rng.random() < 0.5:
        body["sort"] = rng.choice(["TIMESTAMP_ASC", "TIMESTAMP_DESC"])
    if rng.random() < 0.6:
        body |= {"limit": rng.choice([0, 1, 7, 200]), "offset": rng.choice([0, 1, 20])}
    s.post("/logs/filter", body)


@generator(world=True, pristine=True)
def wrong(s: Script, rng: Random) -> None:
    """Bodies with something wrong in them."""
    line = {
        "name": "n", "level": 20, "message": "m", "timestamp": s.now(), "flow_run_id": s.uuid("run"),
        "task_run_id": s.uuid("task"),
    }  # fmt: skip
    mangle(s, rng, {
        # Not at one time: the order of ties is the database's own business.
        ("POST", "/logs/"): [line, {**line, "level": 30, "timestamp": s.now(1)}],
        ("POST", "/logs/filter"): {"logs": filter_object(rng, "logs"), "sort": "TIMESTAMP_ASC", "limit": 5},
    }, ignore=("body[].created", "body[].updated"))  # fmt: skip
    s.rows("log", order_by="level", columns=["name", "level", "message", "task_run_id"], flow_run_id=s.uuid("run"))
