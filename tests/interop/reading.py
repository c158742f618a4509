"""What a server answers about everything that is in its database, in a form that can be compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

ALL: dict[str, Any] = {"limit": 200}
EVENTS = {"filter": {"occurred": {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}}, "limit": 50}


class Reader:
    """Asks one server."""

    def __init__(self, api_url: str) -> None:
        self._client = httpx.Client(base_url=api_url, timeout=60)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, path: str, body: Any) -> Any:
        """The answer to a POST."""
        return self._good(self._client.post(path, json=body))

    def get(self, path: str) -> Any:
        """The answer to a GET."""
        return self._good(self._client.get(path))

    def _good(self, answer: httpx.Response) -> Any:
        assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    def events(self) -> list[Any]:
        """Every event, by id."""
        page = self.post("/events/filter", EVENTS)
        found = list(page["events"])
        while page["next_page"]:
            page = self._good(self._client.get(page["next_page"]))
            found += page["events"]
        return sorted(found, key=lambda event: event["id"])

    def wait_for_events(self, enough: Callable[[list[str]], bool]) -> None:
        """Return once the names of the stored events are enough: they are stored after what they tell about."""
        deadline = time.monotonic() + 30
        while not enough([event["event"] for event in self.events()]):
            assert time.monotonic() < deadline, f"There are only {[event['event'] for event in self.events()]}."
            time.sleep(0.1)

    def everything(self) -> dict[str, Any]:
        """Answers to the requests by which clients look at flows, runs, states, logs and events."""
        flows = self.post("/flows/filter", {**ALL, "sort": "NAME_ASC"})
        flow_runs = self.post("/flow_runs/filter", {**ALL, "sort": "ID_DESC"})
        task_runs = self.post("/task_runs/filter", {**ALL, "sort": "ID_DESC"})
        history = {
            "history_start": "2020-01-01T00:00:00Z",
            "history_end": "2040-01-01T00:00:00Z",
            "history_interval_seconds": 10**8,
        }
        answers: dict[str, Any] = {
            "flows": flows,
            "flow runs": flow_runs,
            "task runs": task_runs,
            "logs": sorted(self.post("/logs/filter", ALL), key=lambda line: line["id"]),
            "events": self.events(),
            "counts": [self.post(f"/{kind}/count", {}) for kind in ("flows", "flow_runs", "task_runs")],
            "page": self.post("/flow_runs/paginate", {"limit": 2, "page": 2, "sort": "ID_DESC"}),
            "histories": [self.post(f"/{kind}/history", history) for kind in ("flow_runs", "task_runs")],
            "default storage": self.get("/admin/storage"),
        }
        for flow in flows:
            answers[f"flow {flow['name']}"] = self.get(f"/flows/name/{flow['name']}"), self.get(f"/flows/{flow['id']}")
        for run in flow_runs:
            id = run["id"]
            answers[f"flow run {id}"] = self.get(f"/flow_runs/{id}")
            answers[f"states of flow run {id}"] = self.get(f"/flow_run_states/?flow_run_id={id}")
            answers[f"inputs of flow run {id}"] = self.post(
                f"/flow_runs/{id}/input/filter", {"prefix": "", "limit": 10}
            )
        for run in task_runs:
            id = run["id"]
            answers[f"task run {id}"] = self.get(f"/task_runs/{id}")
            answers[f"states of task run {id}"] = self.get(f"/task_run_states/?task_run_id={id}")
        return answers


def assert_same(expected: dict[str, Any], actual: dict[str, Any]) -> None:
    """Compare two readings part by part, so that a difference says where it is."""
    assert expected.keys() == actual.keys()
    for name, answer in expected.items():
        assert answer == actual[name], name
