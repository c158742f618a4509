"""What Python Prefect 3.8.8 answers about the same database is answered in the same bytes, apart from blanks."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from prefect_kernel.testing import KernelUnderTest

from .data import Rows
from .requests import SORTS, Requests

pytestmark = [pytest.mark.reference, pytest.mark.timeout(300)]

_ESTIMATES = re.compile(r'"estimated_(run_time|start_time_delta)":[-+0-9.e]+')
_TERMINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
HISTORY = {
    "history_start": "2029-12-28T01:00:00.5+02:00",
    "history_end": "2030-01-03",
    "history_interval_seconds": 30000.5,
}


def compact(text: str) -> str:
    """JSON without blanks; the order of keys and the way numbers are written are kept."""
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


def without_estimates(text: str) -> str:
    """Estimates of runs that go on roll with the time, which the two servers do not share."""
    return _ESTIMATES.sub(r'"estimated_\1":0', compact(text))


@pytest.fixture
def ask(reference_server: Callable[..., Any], kernel: KernelUnderTest, prepared_url: str, rows: Rows) -> Any:
    """Asks both servers, which share a database that nobody changes: `ask(method, path, body)` gives both texts."""
    assert rows
    services = ("CANCELLATION_CLEANUP", "FOREMAN", "LATE_RUNS", "PAUSE_EXPIRATIONS", "SCHEDULER")
    reference = reference_server(
        prepared_url, env={f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in services}
    )

    def both(method: str, path: str, body: Any = None) -> tuple[str, str]:
        ours = kernel.client.request(method, path, json=body)
        request = urllib.request.Request(
            reference.api_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                status, text = reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        assert ours.status == status, (path, body, ours.text, text)
        return ours.text, text

    return both


def test_rows_and_lists(ask: Any, rows: Rows) -> None:
    """Every run by itself, and lists of all kinds in unambiguous order, with random filters, have the same bytes."""
    for kind, table in (("flows", "flow"), ("flow_runs", "flow_run"), ("task_runs", "task_run")):
        for row in rows[table]:
            ours, theirs = map(without_estimates, ask("GET", f"/{kind}/{row['id']}"))
            assert ours == theirs
        requests = Requests(11, rows)
        for _ in range(40):
            body = {**requests.filters_of(kind), "sort": "NAME_ASC" if kind == "flows" else "ID_DESC"}
            for path in ("filter", "paginate"):
                ours, theirs = map(without_estimates, ask("POST", f"/{kind}/{path}", {**body, "limit": 20}))
                assert ours == theirs, body
            ours, theirs = ask("POST", f"/{kind}/count", body)
            assert ours == theirs
        assert set(SORTS[kind]) > {body["sort"]}


def settled(history: str) -> Any:
    """A history without the sums of runs that go on, states in order."""
    return [
        (
            interval["interval_start"],
            interval["interval_end"],
            sorted(
                (state["state_type"], state["state_name"], state["count_runs"])
                + (
                    (round(state["sum_estimated_run_time"], 3), round(state["sum_estimated_lateness"], 3))
                    if state["state_type"] in _TERMINAL
                    else ()
                )
                for state in interval["states"]
            ),
        )
        for interval in json.loads(history)
    ]


def test_histories(ask: Any, rows: Rows) -> None:
    """Histories have the same intervals, states, counts, and sums over runs that have ended."""
    assert rows
    for kind in ("flow_runs", "task_runs"):
        for filters in ({}, {kind: {"tags": {"is_null_": True}}}, {"flows": {"name": {"like_": "flow"}}}):
            ours, theirs = ask("POST", f"/{kind}/history", {**HISTORY, **filters})
            assert settled(ours) == settled(theirs)
            assert len(settled(ours)) > 10


def test_what_is_refused(ask: Any) -> None:
    """Refusals have the same bodies."""
    for path, body in [
        ("/flow_runs/filter", {"limit": 1000}),
        ("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["LOST"]}}}, "sort": "X"}),
        ("/flows/paginate", {"page": 0, "flows": {"id": {"any_": ["1"]}}}),
        ("/task_runs/filter", {"task_runs": {"start_time": {"before_": "x", "is_null_": 2}}}),
        ("/flow_runs/history", {"history_start": "2030-01-01T00:00:00Z"}),
        ("/task_runs/history", {**HISTORY, "history_interval_seconds": 0.5}),
    ]:
        ours, theirs = map(compact, ask("POST", path, body))
        assert ours == theirs
