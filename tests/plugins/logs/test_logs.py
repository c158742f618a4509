"""Logs of runs: taking them in, and finding them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prefect_kernel.ids import uuid4
from prefect_kernel.testing import KernelUnderTest, MakeKernel

RUNS = [f"{n}0000000-0000-4000-8000-000000000000" for n in range(3)]


def line(kernel: KernelUnderTest, message: str, after: float = 0, **fields: Any) -> dict[str, Any]:
    """A line that is logged `after` seconds from now."""
    timestamp = (kernel.clock.now() + timedelta(seconds=after)).isoformat()
    return {"name": "prefect.flow_runs", "level": 20, "message": message, "timestamp": timestamp, **fields}


def send(kernel: KernelUnderTest, *lines: dict[str, Any]) -> None:
    """Store lines."""
    answer = kernel.client.post("/logs/", json=list(lines))
    assert (answer.status, answer.json()) == (201, None)


def find(kernel: KernelUnderTest, filter: dict[str, Any] | None = None, **body: Any) -> list[str]:
    """The messages that a filter finds."""
    answer = kernel.client.post("/logs/filter", json={**({"logs": filter} if filter else {}), **body})
    assert answer.status == 200, answer.text
    return [one["message"] for one in answer.json()]


def test_a_line_comes_back(kernel: KernelUnderTest) -> None:
    """A line is answered with an id and the times of its storing; NUL characters are left out."""
    task = uuid4()
    sent = line(
        kernel, 'ü "q" \\ nul:\x00', name="my.\x00logger", level=-5, flow_run_id=RUNS[0].upper(), task_run_id=task
    )
    send(kernel, sent | {"timestamp": "2029-12-31T23:30:00.25+05:30"})
    (found,) = kernel.client.post("/logs/filter", json={}).json()
    assert {**found, "id": ""} == {
        "id": "",
        "created": "2030-01-01T12:00:00Z",
        "updated": "2030-01-01T12:00:00Z",
        "name": "my.logger",
        "level": -5,
        "message": 'ü "q" \\ nul:',
        "timestamp": "2029-12-31T18:00:00.250000Z",
        "flow_run_id": RUNS[0],
        "task_run_id": task,
    }


def test_lines_are_sorted_by_time(kernel: KernelUnderTest) -> None:
    """The oldest first, or the newest; pages by limit and offset."""
    send(kernel, *(line(kernel, str(n), after=(n * 7) % 10) for n in range(10)))
    in_order = [str(n) for n in sorted(range(10), key=lambda n: (n * 7) % 10)]
    assert find(kernel) == in_order
    assert find(kernel, sort="TIMESTAMP_DESC") == in_order[::-1]
    assert find(kernel, limit=3, offset=4) == in_order[4:7]
    assert find(kernel, limit=0) == []


def test_what_a_filter_finds(kernel: KernelUnderTest) -> None:
    """Every part of the filter, alone and together."""
    task = uuid4()
    send(
        kernel,
        line(kernel, "a: Started", 0, flow_run_id=RUNS[0], level=10),
        line(kernel, "b: 50% done_now", 1, flow_run_id=RUNS[0], task_run_id=task, name="prefect.task_runs"),
        line(kernel, "c: Crashed", 2, flow_run_id=RUNS[1], level=40),
        line(kernel, "d: ünder", 3, level=30),
    )
    at = [(kernel.clock.now() + timedelta(seconds=n)).isoformat() for n in range(4)]
    text = lambda query: {"text": {"query": query}}  # noqa: E731 - short names keep the table readable
    cases: list[tuple[dict[str, Any], str]] = [
        ({"level": {"ge_": 30}}, "cd"),
        ({"level": {"le_": 20}}, "ab"),
        ({"level": {"ge_": 20, "le_": 30}}, "bd"),
        ({"level": {}}, "abcd"),
        ({"timestamp": {"after_": at[1], "before_": at[2]}}, "bc"),
        ({"flow_run_id": {"any_": [RUNS[0]]}}, "ab"),
        ({"flow_run_id": {"any_": RUNS[:2]}}, "abc"),
        ({"flow_run_id": {"any_": []}}, ""),
        ({"flow_run_id": {"any_": [RUNS[2]]}}, ""),
        ({"task_run_id": {"any_": [task]}}, "b"),
        ({"task_run_id": {"is_null_": True}}, "acd"),
        ({"task_run_id": {"is_null_": False}}, "b"),
        (text("STARTED crashed"), "ac"),
        (text("-started -crashed"), "bd"),
        (text("+task_runs"), "b"),
        (text('"50% d"'), "b"),
        (text("0_ %"), "b"),
        (text("ünder"), "d"),
        (text(" "), "abcd"),
        ({"flow_run_id": {"any_": [RUNS[0]]}, "level": {"ge_": 20}}, "b"),
        ({"operator": "or_", "flow_run_id": {"any_": [RUNS[1]]}, "level": {"ge_": 30}}, "cd"),
    ]
    found = [(filter, "".join(message[0] for message in find(kernel, filter))) for filter, _ in cases]
    assert cases == found


REFUSED: list[tuple[str, Any, list[Any] | str]] = [
    ("/logs/filter", {"limit": 201}, "Invalid limit: must be less than or equal to 200."),
    ("/logs/filter", {"limit": -1}, "Invalid limit: must be greater than or equal to 0."),
    ("/logs/filter", {"offset": -1}, ["body", "offset"]),
    ("/logs/filter", {"sort": "LEVEL"}, ["body", "sort"]),
    ("/logs/filter", {"logs": {"colour": {}}}, ["body", "logs", "colour"]),
    ("/logs/filter", {"logs": {"text": {}}}, ["body", "logs", "text", "query"]),
    ("/logs/filter", {"logs": {"text": {"query": "x" * 201}}}, ["body", "logs", "text", "query"]),
    ("/logs/", {}, ["body"]),
    ("/logs/", [{"name": "x", "level": 1, "message": "x", "timestamp": "soon"}], ["body", 0, "timestamp"]),
]


def test_what_is_refused(kernel: KernelUnderTest) -> None:
    """Limits are answered with their own sentence, everything else with where it is wrong; nothing is stored."""
    for path, body, expected in REFUSED:
        answer = kernel.client.post(path, json=body)
        assert answer.status == 422, (path, body)
        told = answer.json()
        assert expected == (told["detail"] if isinstance(expected, str) else told["exception_detail"][0]["loc"])
    assert find(kernel) == []


@pytest.mark.parametrize("number", [0, 1, 5000])
def test_any_number_of_lines(kernel: KernelUnderTest, number: int) -> None:
    """A request stores all of its lines, however many."""
    send(kernel, *(line(kernel, f"line {n}", n / 1000, flow_run_id=RUNS[0]) for n in range(number)))
    filter = {"flow_run_id": {"any_": [RUNS[0]]}}
    assert len(find(kernel, filter)) == min(number, 200)
    if number:
        assert find(kernel, filter, offset=number - 1) == [f"line {number - 1}"]


def test_lines_of_one_moment_keep_their_order(make_kernel: MakeKernel) -> None:
    """On SQLite, lines with the same time come back in the order in which they were stored."""
    kernel = make_kernel()
    send(kernel, *(line(kernel, str(n), flow_run_id=RUNS[0]) for n in range(50)))
    assert find(kernel, {"flow_run_id": {"any_": [RUNS[0]]}}) == [str(n) for n in range(50)]
