"""What the scripts share: read back what a server says about a run, without ids and times, and check it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.client.schemas.responses import OrchestrationResult
from prefect.states import State

TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PATTERNS = (
    (re.compile(r"(?<=^Created subflow run ')[a-z-]+(?=' for flow )"), "<subflow run>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\b"), "<trace>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<hash>"),
    (re.compile(r"(0x)[0-9a-f]+"), "<address>"),
    (re.compile(r"\b\d+\.\d+ ?(s|seconds?|second\(s\))"), "<duration>"),
)
WAIT_SECONDS = 40.0


def client() -> SyncPrefectClient:
    """A client to the server under test."""
    return get_client(sync_client=True)


def run_id(state: State[Any]) -> UUID:
    """The flow run of a state."""
    assert state.state_details.flow_run_id is not None
    return state.state_details.flow_run_id


def resume(api: SyncPrefectClient, id_: UUID, run_input: dict[str, Any] | None = None) -> OrchestrationResult[Any]:
    """Resume a paused run, as a request of its own: the oldest clients have no method for it."""
    body = {} if run_input is None else {"run_input": run_input}
    return OrchestrationResult.model_validate(api._client.post(f"/flow_runs/{id_}/resume", json=body).json())


def result_of(state: State[Any]) -> Any:
    """The result of a state, read from where it is kept; old clients have one method less."""

    async def read() -> Any:
        return await (state.aresult() if hasattr(state, "aresult") else state.result(fetch=True))

    return asyncio.run(read())


def plain(value: Any, names: dict[str, str]) -> Any:
    """A value as JSON, with ids, times and generated names replaced."""
    if isinstance(value, dict):
        return {key: plain(item, names) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [plain(item, names) for item in value]
    if isinstance(value, str):
        for name, label in names.items():
            value = value.replace(name, label)
        for pattern, label in PATTERNS:
            value = pattern.sub(label, value)
    return value


def _states(api: SyncPrefectClient, kind: str, id_: UUID) -> list[dict[str, Any]]:
    answer = api._client.get(f"/{kind}_run_states/", params={f"{kind}_run_id": str(id_)})
    return sorted(answer.json(), key=lambda state: str(state["timestamp"]))


def _shown_states(states: list[dict[str, Any]], names: dict[str, str]) -> list[Any]:
    shown = []
    for state in states:
        details = {key: value for key, value in state["state_details"].items() if value not in (None, False)}
        data = state["data"]
        if isinstance(data, dict):
            # Expirations and sizes of stored results depend on the moment.
            data = sorted(data)
        shown.append(plain([state["type"], state["name"], state["message"], details, data], names))
    return shown


def task_runs_when_done(api: SyncPrefectClient, id_: UUID, count: int) -> list[Any]:
    """The task runs of a flow run, once so many are recorded and have ended: they are recorded behind the scenes."""
    filter_ = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[id_]))
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        found = api.read_task_runs(task_run_filter=filter_, limit=200)
        done = [run for run in found if run.state_type is not None and run.state_type.value in TERMINAL]
        if len(done) >= count or time.monotonic() > give_up:
            assert len(found) == count, f"{len(found)} task runs instead of {count}"
            assert len(done) == count, f"only {len(done)} of {count} task runs have ended"
            return found
        time.sleep(0.2)


def settled_states(api: SyncPrefectClient, kind: str, id_: UUID, least: int = 0) -> list[dict[str, Any]]:
    """The states of a run, once the last of them is terminal and there are so many."""
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        states = _states(api, kind, id_)
        if (len(states) >= least and states and states[-1]["type"] in TERMINAL) or time.monotonic() > give_up:
            return states
        time.sleep(0.2)


def summary(id_: UUID, tasks: int, *, task_states: int = 3, logs: bool = True) -> dict[str, Any]:
    """All that the server says about a flow run. `task_states`: so many states of each task run to wait for."""
    api = client()
    run = api.read_flow_run(id_)
    task_runs = task_runs_when_done(api, id_, tasks)
    names = {run.name: "<flow run>"} if re.fullmatch(r"[a-z]+-[a-z]+(-[a-z]+)?", run.name) else {}
    for task_run in task_runs:
        label = re.sub(r"-[0-9a-f]{3}$", "-<n>", task_run.name)
        if label != task_run.name:
            names[task_run.name] = label
    children = api.read_flow_runs(
        flow_run_filter=FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[id_]))
    )
    names |= {child.name: "<subflow run>" for child in children}
    shown_tasks = [
        {
            "name": plain(task_run.name, names),
            "tags": sorted(task_run.tags),
            "run_count": task_run.run_count,
            "inputs": plain(
                {key: [type(i).__name__ for i in items] for key, items in task_run.task_inputs.items()}, {}
            ),
            "started": task_run.start_time is not None,
            "ended": task_run.end_time is not None,
            "states": _shown_states(settled_states(api, "task", task_run.id, task_states), names),
        }
        for task_run in task_runs
    ]
    shown = {
        "name": plain(run.name, names),
        "tags": sorted(run.tags),
        "parameters": plain(run.parameters, names),
        "run_count": run.run_count,
        "parent": run.parent_task_run_id is not None,
        "deployment": run.deployment_id is not None,
        "states": _shown_states(_states(api, "flow", id_), names),
        "tasks": sorted(shown_tasks, key=lambda task: json.dumps(task, default=str)),
        "subflows": len(children),
    }
    if logs:
        shown["logs"] = _logs(api, id_, names)
    return shown


def _logs(api: SyncPrefectClient, id_: UUID, names: dict[str, str]) -> list[Any]:
    """The logs of a run. Those of tasks that run at the same time come in any order, so they are sorted."""
    # As a request of its own: the oldest clients have no method for it.
    body = {"logs": {"flow_run_id": {"any_": [str(id_)]}}, "limit": 200, "sort": "TIMESTAMP_ASC"}
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        found = api._client.post("/logs/filter", json=body).json()
        # The client sends its logs every two seconds; the last one says how the run finished.
        if any(log["message"].startswith("Finished in state") and log["name"] == "prefect.flow_runs" for log in found):
            break
        if time.monotonic() > give_up:
            break
        time.sleep(0.2)
    return sorted([log["name"], log["level"], _first_line(plain(log["message"], names))] for log in found)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def main(*cases: Callable[[], Any]) -> None:
    """Run the cases, print their summaries as the last line, end with 1 when a check failed."""
    chosen = sys.argv[1:]
    said: dict[str, Any] = {}
    failed = False
    for case in cases:
        if chosen and case.__name__ not in chosen:
            continue
        try:
            said[case.__name__] = case()
        except Exception:
            traceback.print_exc()
            failed = True
            said[case.__name__] = "failed: " + traceback.format_exc().strip().splitlines()[-1]
    sys.stderr.flush()
    print("SUMMARY " + json.dumps(said, default=str, sort_keys=True))
    sys.stdout.flush()
    sys.exit(1 if failed else 0)
