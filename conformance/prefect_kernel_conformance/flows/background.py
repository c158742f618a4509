"""Background tasks: `task.delay()` with `serve(task)` in another process; a run ended by a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from _summary import client, main, plain, settled_states
from prefect import flow, task
from prefect.client.schemas.objects import TaskRun
from prefect.task_worker import serve

# A key of its own for each run of the script, so that tasks left over from another are nobody's business.
MARK = os.environ.setdefault("CONFORMANCE_MARK", f"{time.time_ns():x}")


@task(name=f"conformance-add-{MARK}", persist_result=True)
def add(x: int, y: int) -> int:
    return x + y


@task(name=f"conformance-shaky-{MARK}", retries=1, retry_delay_seconds=0.2)
def shaky() -> None:
    raise ValueError("no")


def _worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(Path(__file__).resolve()), "--serve"])


def _wait(id_: UUID, *types: str) -> TaskRun:
    give_up = time.monotonic() + 60
    run = client().read_task_run(id_)
    while time.monotonic() < give_up and (run.state_type is None or run.state_type.value not in types):
        time.sleep(0.2)
        run = client().read_task_run(id_)
    assert run.state_type is not None
    assert run.state_type.value in types, f"the task run is still {run.state_type.value}"
    return run


def delayed() -> Any:
    """Tasks are created scheduled and deferred; a worker gets and runs them, and they may be retried."""
    early = add.delay(1, 2)
    created = client().read_task_run(early.task_run_id)
    assert created.state is not None
    shown: list[Any] = [created.state.type.value, created.state.name, created.state.state_details.deferred]
    worker = _worker()
    try:
        futures = [early, add.delay(3, y=4), shaky.delay()]
        runs = [
            _wait(future.task_run_id, "COMPLETED" if number < 2 else "FAILED") for number, future in enumerate(futures)
        ]
        for run, least in zip(runs, (4, 4, 6), strict=True):
            states = settled_states(client(), "task", run.id, least)
            shown.append(
                {
                    "states": [plain([state["type"], state["name"], state["message"]], {}) for state in states],
                    "run_count": client().read_task_run(run.id).run_count,
                    "tags": run.tags,
                    "flow run": run.flow_run_id is not None,
                }
            )
        results = [run.state.result(raise_on_failure=False) for run in runs[:2] if run.state]
        shown.append([result if isinstance(result, int) else type(result).__name__ for result in results])
        found = client()._client.post(
            "/task_workers/filter", json={"task_worker_filter": {"task_keys": [add.task_key]}}
        )
        shown.append(sorted(key.split("-")[1] for one in found.json() for key in one["task_keys"]))
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    assert shown[:3] == ["SCHEDULED", "Scheduled", True]
    return shown


@flow(name="conformance-signalled")
def waits() -> None:
    time.sleep(60)


def signalled() -> Any:
    """A process that is told to end reports its run as crashed, or does not get to it."""
    process = subprocess.Popen([sys.executable, str(Path(__file__).resolve()), "--wait"])
    try:
        id_ = _running()
        process.send_signal(signal.SIGINT)
        process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    states = settled_states(client(), "flow", id_)
    shown = [plain([state["type"], state["name"], state["message"]], {}) for state in states]
    assert shown[-1][0] == "CRASHED", shown
    return shown


def _running() -> UUID:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        body = {"flows": {"name": {"any_": [waits.name]}}, "flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
        found = client()._client.post("/flow_runs/filter", json=body).json()
        if found:
            return UUID(found[0]["id"])
        time.sleep(0.2)
    raise AssertionError("the run never started")


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve(add, shaky)
    elif sys.argv[1:] == ["--wait"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever began this may have ignored
        waits()
    else:
        main(delayed, signalled)
