"""Logs as they come in, over `/logs/out`."""

from __future__ import annotations

from typing import Any

from ..script import Script, sequence
from ._bad_input import NO_ID, WRONG
from .logs import _log

GROUP = "logs"
PATH = "/logs/out"
# Until a subscription is in force, on either server, some time passes that nobody tells of.
READY = ("wait", 0.7)


def _filter(**filter_: Any) -> tuple[str, Any]:
    return ("send", {"type": "filter", "filter": filter_})


@sequence
def lines_as_they_come(s: Script) -> None:
    """Only what is written while somebody listens, and only what fits the filter."""
    mine = {"flow_run_id": {"any_": [s.uuid("run")]}}
    before = [_log(s, 0, message="before")]
    s.post("/logs/", before)
    lines = [
        _log(s, 1), _log(s, 2, level=40, task_run_id=s.uuid("task")), _log(s, 3, flow_run_id=s.uuid("other")),
        _log(s, 4, message="größe \n ✓"),
    ]  # fmt: skip
    for more, number in (
        ({}, 3), ({"level": {"ge_": 30}}, 1), ({"level": {"le_": 30}}, 2), ({"task_run_id": {"is_null_": True}}, 2),
        ({"task_run_id": {"is_null_": False}}, 1), ({"task_run_id": {"any_": [s.uuid("task")]}}, 1),
        ({"timestamp": {"after_": s.now(2)}}, 2), ({"timestamp": {"before_": s.now(2)}}, 2),
        ({"flow_run_id": {"any_": [s.uuid("other"), NO_ID]}}, 1), ({"text": {"query": "nothing of this"}}, 3),
        ({"flow_run_id": None}, 3),
    ):  # fmt: skip
        only = {**mine, **more} if "flow_run_id" not in more or more["flow_run_id"] else mine
        s.socket(
            PATH, _filter(**only), READY, ("request", "POST", "/logs/", lines), ("receive", number), ("silence", 0.4)
        )


@sequence
def several_requests(s: Script) -> None:
    """Lines come in the order in which they were written, whatever their time."""
    write = [("request", "POST", "/logs/", [_log(s, at), _log(s, at + 0.5)]) for at in (5, 1, 3)]
    s.socket(PATH, _filter(flow_run_id={"any_": [s.uuid("run")]}), READY, *write, ("receive", 6), ("silence", 0.3))


@sequence
def first_frames(s: Script) -> None:
    """First frames that are no filter."""
    for frame in (
        "x", "{}", "[]", {"type": "filter"}, {"type": "x", "filter": {}}, {"type": "filter", "filter": None},
        {"type": "filter", "filter": []}, {"type": "filter", "filter": "x"}, {"type": None, "filter": {}},
    ):  # fmt: skip
        s.socket(PATH, ("send", frame), ("silence", 0.5))
    for field in ("level", "timestamp", "flow_run_id", "task_run_id", "text", "unknown", "operator"):
        s.socket(PATH, _filter(**{field: {"any_": 1, "ge_": "x", "query": 5, "before_": "x"}}), ("silence", 0.5))
    for value in WRONG[3:9]:
        s.socket(PATH, _filter(flow_run_id=value), ("silence", 0.3))
    s.socket(PATH, ("send", {"type": "x"}), ("receive", 1), auth=False)
    s.socket(PATH, ("send", {"type": "auth", "token": "any"}), ("receive", 1), auth=False)
    s.socket(PATH, _filter(), ("silence", 0.3), subprotocol=None)
    s.socket(PATH, _filter(), ("silence", 0.3), subprotocol="other")
