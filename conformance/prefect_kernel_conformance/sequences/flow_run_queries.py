"""Flow runs: filter, paginate, count, history, lateness."""

from __future__ import annotations

from ..script import Script, sequence
from ._bad_input import OTHERS_ROWS, WRONG, bad_content_types, bad_fields, filter_bodies, paging
from ._make import flow, flow_run, set_state

GROUP = "flow_runs"
OBJECTS = ("flows", "flow_runs", "task_runs", "deployments", "work_pools", "work_pool_queues")
ID = "00000000-0000-4000-8000-000000000000"
TEXTS = (["a"], ["a", "b"], ["%"])
IDS = ([ID], [ID, ID.replace("0", "1")], [ID.upper()])
TAGS = {"all_": (["a"], ["a", "b"]), "any_": (["a"], ["a", "b"]), "is_null_": (True, False)}
TIMES = {
    "before_": (
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00+02:00",
        "2026-01-01",
        0,
        1700000000.5,
    ),
    "after_": ("2026-01-01T00:00:00.123456Z",),
}
FLOW_RUN_FILTER = {
    "id": {"any_": IDS, "not_any_": IDS},
    "name": {"any_": TEXTS, "like_": ("a", "%")},
    "tags": TAGS,
    "deployment_id": {"any_": IDS, "is_null_": (True, False)},
    "work_queue_name": {"any_": TEXTS, "is_null_": (True, False)},
    "state": {
        "type": ({"any_": ["PENDING"]}, {"not_any_": ["PENDING"]}, {"any_": ["pending"]}, {"any_": "PENDING"}),
        "name": ({"any_": ["Pending"]}, {"not_any_": ["Pending"]}),
        "operator": ("and_", "or_"),
    },
    "flow_version": {"any_": TEXTS},
    "start_time": {**TIMES, "is_null_": (True, False)},
    "end_time": {**TIMES, "is_null_": (True, False)},
    "expected_start_time": TIMES,
    "next_scheduled_start_time": TIMES,
    "parent_flow_run_id": {"any_": IDS},
    "parent_task_run_id": {"any_": IDS, "is_null_": (True, False)},
    "idempotency_key": {"any_": TEXTS, "not_any_": TEXTS},
    "created_by": {"id_": IDS, "type_": TEXTS, "is_null_": (True, False)},
    "operator": {},
    "unknown": {},
}


@sequence(independent=True)
def filter_fields(s: Script) -> None:
    """Each operator of each field with good and with wrong values."""
    name = {"name": {"any_": [s.name("nobody")]}}
    for body in filter_bodies(FLOW_RUN_FILTER):
        if "name" not in body:
            s.post("/flow_runs/filter", {"flow_runs": {**name, **body}})
        else:
            s.post("/flow_runs/filter", {"flow_runs": {"id": {"any_": [s.uuid("nobody")]}, **body}})


@sequence(independent=True)
def bodies_of_queries(s: Script) -> None:
    """Bodies that are no query."""
    mine = {"flow_runs": {"name": {"any_": [s.name("nobody")]}}, "limit": 0}
    for path in ("/flow_runs/filter", "/flow_runs/count", "/flow_runs/paginate", "/flow_runs/lateness"):
        bad_fields(s, "POST", path, mine, OBJECTS, ignore=OTHERS_ROWS)
        for body in ([], "x", 1, True, {"flow_runs": {"unknown": 1}}):
            s.post(path, body)
        bad_content_types(
            s, "POST", path, '{"flow_runs": {"name": {"any_": ["nobody"]}}, "limit": 0}', ignore=OTHERS_ROWS
        )


@sequence(independent=True)
def paging_and_sorting(s: Script) -> None:
    """Limits, offsets, pages and sorts over a few runs of its own."""
    parent = flow(s)
    for number, letter in enumerate("cabd"):
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": s.now(600 + number)}}
        flow_run(s, parent, name=s.name(f"page-{letter}"), state=state)
    mine = {"flow_runs": {"name": {"like_": s.name("")}}, "sort": "NAME_ASC"}
    paging(s, "/flow_runs/filter", mine)
    paging(s, "/flow_runs/paginate", mine, page=True)
    for sort in (
        "NAME_ASC", "NAME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC", "START_TIME_ASC",
        "START_TIME_DESC", "NEXT_SCHEDULED_START_TIME_ASC", "CREATED_DESC", "", 1, [], {},
    ):  # fmt: skip
        s.post("/flow_runs/filter", {**mine, "sort": sort})
        s.post("/flow_runs/paginate", {**mine, "sort": sort})
    # Ids of runs are random: sorted by id, their order is chance.
    for sort in (None, "ID_DESC"):
        s.post("/flow_runs/filter", {**mine, "sort": sort}, unordered=("body",))
        s.post("/flow_runs/paginate", {**mine, "sort": sort}, unordered=("body.results",))
    s.post("/flow_runs/count", mine)
    s.post("/flow_runs/lateness", mine, tolerance=5)


@sequence(independent=True)
def histories(s: Script) -> None:
    """History counts runs by state in intervals."""
    parent = flow(s)
    runs = [flow_run(s, parent) for _ in range(3)]
    set_state(s, runs[0], "RUNNING")
    set_state(s, runs[0], "COMPLETED")
    set_state(s, runs[1], "RUNNING")
    mine = {"flows": {"id": {"any_": [parent["id"]]}}}
    good = {**mine, "history_start": "2026-01-01T00:00:00Z", "history_end": "2026-01-02T00:00:00Z"}
    for interval in (
        1,
        172.8,
        173,
        3600,
        86400,
        86400 * 2,
        0.5,
        0,
        -1,
        "3600",
        "PT1H",
        None,
        "x",
        10**12,
        True,
        [],
        {},
    ):
        s.post("/flow_runs/history", {**good, "history_interval_seconds": interval})
    for start, end in (
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00+05:00", "2026-01-01T12:34:56.789-03:00"),
        ("2026-01-01", "2026-01-02"),
        (None, "2026-01-02"),
        ("x", 5),
    ):
        body = {**mine, "history_start": start, "history_end": end, "history_interval_seconds": 3600}
        s.post("/flow_runs/history", body)
    around = {**mine, "history_start": s.now(-3600), "history_end": s.now(3600), "history_interval_seconds": 7200}
    s.post("/flow_runs/history", around, unordered=("body[0].states",))
    s.post("/flow_runs/history", {**around, "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    s.post("/flow_runs/history", {})
    for field in ("history_start", "history_end", "history_interval_seconds", *OBJECTS, "work_queues"):
        for value in WRONG:
            s.post("/flow_runs/history", {**good, "history_interval_seconds": 86400, field: value})


@sequence(independent=True)
def lateness(s: Script) -> None:
    """How late runs are, on average."""
    parent = flow(s)
    mine = {"flows": {"id": {"any_": [parent["id"]]}}}
    s.post("/flow_runs/lateness", mine, tolerance=5)
    flow_run(s, parent, state={"type": "SCHEDULED", "state_details": {"scheduled_time": s.now(-100)}})
    s.post("/flow_runs/lateness", mine, tolerance=5)
    run = flow_run(s, parent, state={"type": "SCHEDULED", "state_details": {"scheduled_time": s.now(-50)}})
    set_state(s, run, "RUNNING")
    s.post("/flow_runs/lateness", mine, tolerance=5)
    flow_run(s, parent, state={"type": "SCHEDULED", "state_details": {"scheduled_time": s.now(500)}})
    s.post("/flow_runs/lateness", mine, tolerance=5)
