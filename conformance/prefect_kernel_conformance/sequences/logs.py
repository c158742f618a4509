"""Logs: write and filter."""

from __future__ import annotations

from typing import Any

from ..script import Script, sequence
from ._bad_input import (
    OTHERS_ROWS,
    WRONG,
    bad_bodies,
    bad_content_types,
    bad_fields,
    filter_bodies,
    paging,
    wrong_methods,
)
from .flow_run_queries import IDS, TIMES

LOG_FILTER = {
    "level": {"ge_": (10, 0, "20"), "le_": (10, 50)},
    "timestamp": TIMES,
    "flow_run_id": {"any_": IDS},
    "task_run_id": {"any_": IDS, "is_null_": (True, False)},
    "text": {"query": ("a", '"a b"', "-a", "+a b", "!x", "x" * 201, '"', "a -b")},
    "operator": {},
    "unknown": {},
}


def _log(s: Script, number: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "prefect.flow_runs", "level": 20, "message": f"line {number}", "timestamp": s.now(number),
        "flow_run_id": s.uuid("run"), "task_run_id": None, **more,
    }  # fmt: skip


@sequence
def write_and_read(s: Script) -> None:
    """Logs come back in order of their time."""
    s.post("/logs/", [_log(s, 3), _log(s, 1), _log(s, 2, task_run_id=s.uuid("task"), level=40)])
    s.post("/logs/", [_log(s, 0, message='größe ✓ \n\t"quoted"'), _log(s, 5, message="nul \x00 nul", name="a\x00b")])
    mine = {"flow_run_id": {"any_": [s.uuid("run")]}}
    for sort in ("TIMESTAMP_ASC", "TIMESTAMP_DESC"):
        s.post("/logs/filter", {"logs": mine, "sort": sort})
    for more in (
        {"level": {"ge_": 30}}, {"level": {"le_": 30}}, {"task_run_id": {"is_null_": True}},
        {"task_run_id": {"any_": [s.uuid("task")]}}, {"timestamp": {"before_": s.now(1)}},
        {"timestamp": {"after_": s.now(3)}}, {"timestamp": {"after_": s.now(1), "before_": s.now(2)}},
    ):  # fmt: skip
        s.post("/logs/filter", {"logs": {**mine, **more}})


@sequence
def nothing_to_write(s: Script) -> None:
    """An empty list is fine."""
    s.post("/logs/", [])


@sequence
def text_search(s: Script) -> None:
    """Words, phrases, exclusions and requirements over message and name."""
    for number, message in enumerate(("alpha beta", "alpha", "beta GAMMA", 'say "hi" now', "100% sure_thing", "")):
        s.post("/logs/", [_log(s, number, message=message, name=f"logger.{number}")])
    mine = {"flow_run_id": {"any_": [s.uuid("run")]}}
    for query in (
        "alpha", "ALPHA", "alpha gamma", "-alpha", "!alpha", "+alpha +beta", "+alpha -beta", '"alpha beta"', "logger.3",
        '-"alpha beta"', '+"beta gamma"', "%", "_", "100%", "sure_", '"say \\"hi\\""', "", " ", "-", "+",
        '"', '""', "a-b",
    ):  # fmt: skip
        s.post("/logs/filter", {"logs": {**mine, "text": {"query": query}}})


@sequence(independent=True)
def bad_logs(s: Script) -> None:
    """Bodies and fields that are no logs."""
    bad_bodies(s, "POST", "/logs/", _log(s, 0))
    bad_content_types(s, "POST", "/logs/", "[]")
    for field in ("name", "level", "message", "timestamp", "flow_run_id", "task_run_id", "worker_id", "id"):
        for value in WRONG:
            s.post("/logs/", [_log(s, 0, **{field: value})])
        s.post("/logs/", [{name: value for name, value in _log(s, 0).items() if name != field}])
    s.post("/logs/", [_log(s, 0), {"name": "x"}, _log(s, 1, level="x")])
    s.post("/logs/", _log(s, 0))
    for level in (32767, 32768, -32768, -32769, 2**31, 2**63):
        s.post("/logs/", [_log(s, 0, level=level)])


@sequence(independent=True)
def filter_fields(s: Script) -> None:
    """Each operator of each field with good and with wrong values."""
    name = {"flow_run_id": {"any_": [s.uuid("nobody")]}}
    for body in filter_bodies(LOG_FILTER):
        extra = {"task_run_id": {"any_": [s.uuid("nobody")]}} if "flow_run_id" in body else name
        s.post("/logs/filter", {"logs": {**extra, **body}})


@sequence(independent=True)
def bodies_of_queries(s: Script) -> None:
    """Bodies that are no query; limits and sorts."""
    mine = {"logs": {"flow_run_id": {"any_": [s.uuid("run")]}}}
    s.post("/logs/", [_log(s, number) for number in range(4)])
    bad_fields(s, "POST", "/logs/filter", mine, ("logs",))
    paging(s, "/logs/filter", mine)
    for sort in ("TIMESTAMP_ASC", "TIMESTAMP_DESC", "LEVEL_ASC", "", None, 1, []):
        s.post("/logs/filter", {**mine, "sort": sort})
    bad_content_types(s, "POST", "/logs/filter", '{"logs": {"level": {"ge_": 9999}}}', ignore=OTHERS_ROWS)
    wrong_methods(s, "/logs/", ("POST",))
    wrong_methods(s, "/logs/filter", ("POST",))
