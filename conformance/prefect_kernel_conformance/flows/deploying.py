"""Deployments as people make them: `flow.serve`, `flow.deploy` with a process worker, `prefect deploy`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from _summary import TERMINAL, client, main, plain, settled_states
from prefect import flow, task
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

HERE = Path(__file__).resolve()
PROJECT = Path.cwd() / "project"
POOL = "conformance-process"
PATIENCE = 120.0
YAML = f"""
name: conformance
prefect-version: null
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: {PROJECT}
deployments:
  - name: scheduled
    description: Has schedules.
    entrypoint: greeting.py:greet
    tags: [yaml, conformance]
    parameters: {{name: Bob}}
    schedules:
      - cron: "0 6 * * *"
        timezone: Europe/Berlin
        slug: mornings
        active: false
      - interval: 3600
        anchor_date: "2030-01-01T00:00:00+00:00"
        slug: hourly
        active: false
      - rrule: "DTSTART:20300101T000000\\nRRULE:FREQ=WEEKLY;BYDAY=MO"
        slug: mondays
        active: false
    work_pool: {{name: {POOL}, job_variables: {{env: {{GREETING: Hi}}}}}}
  - name: limited
    entrypoint: greeting.py:greet
    concurrency_limit: {{limit: 2, collision_strategy: CANCEL_NEW}}
    work_pool: {{name: {POOL}}}
"""
GREETING = """
from prefect import flow, task


@task
def hello(name: str) -> str:
    return f"Hello {name}"


@flow(name="conformance-greeting", log_prints=True)
def greet(name: str = "you", times: int = 1):
    for _ in range(times):
        print(hello(name))
"""


@task
def twice(x: int) -> int:
    return 2 * x


@flow(name="conformance-served")
def served_flow(x: int = 1) -> int:
    return twice(x)


def _deployment(name: str) -> dict[str, Any]:
    """A deployment as the server tells of it, without what depends on the machine."""
    api = client()
    found = api._client.get(f"/deployments/name/{name}").raise_for_status().json()
    schedules = [
        {key: one.get(key) for key in ("schedule", "active", "slug", "parameters")} for one in found["schedules"]
    ]
    for one in schedules:
        if name.startswith("conformance-served"):
            one["schedule"].pop("anchor_date", None)  # the moment at which it was served
    limit = found.get("global_concurrency_limit")
    shown = {
        key: found.get(key)
        for key in (
            "name", "description", "tags", "parameters", "parameter_openapi_schema", "paused", "entrypoint",
            "pull_steps", "work_pool_name", "work_queue_name", "job_variables", "status", "enforce_parameter_schema",
            "concurrency_options",
        )
    }  # fmt: skip
    shown["schedules"] = sorted(schedules, key=str)
    shown["limit"] = limit and limit["limit"]
    return plain(shown, {str(Path.cwd()): "<here>", str(HERE): "<script>"})


def _wait_for(name: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            client().read_deployment_by_name(name)
        except ObjectNotFound:
            assert time.monotonic() < give_up, f"{name} was never deployed"
            time.sleep(0.3)
        else:
            return


def _ended(run: UUID) -> Any:
    """What became of a run: its states in order, without those that pass before anybody could see them."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        state = client().read_flow_run(run).state
        if state is not None and state.type.value in TERMINAL:
            break
        time.sleep(0.3)
    states = settled_states(client(), "flow", run)
    found = client().read_flow_run(run)
    # A run that waits for its turn may or may not have been seen late.
    shown = [[one["type"], one["name"], one["message"]] for one in states if one["name"] != "Late"]
    return plain(
        {
            "states": shown, "parameters": found.parameters, "tags": sorted(found.tags), "run_count": found.run_count,
            "job_variables": found.job_variables, "pool": found.work_pool_name, "queue": found.work_queue_name,
            "deployment": found.deployment_id is not None, "pid": bool(found.infrastructure_pid),
        },
        {str(Path.cwd()): "<here>"},
    )  # fmt: skip


def served() -> Any:
    """A served flow registers itself, runs what is asked for, and pauses its schedules when it is told to end."""
    name = "conformance-served/served"
    process = subprocess.Popen([sys.executable, str(HERE), "--serve"])
    try:
        _wait_for(name)
        shown: list[Any] = [_deployment(name)]
        run = run_deployment(name, parameters={"x": 21}, timeout=0, tags=["asked"])
        shown.append(_ended(run.id))
        assert shown[-1]["states"][-1][0] == "COMPLETED", shown[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
    shown.append(_deployment(name))
    return shown


def _prefect(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments], cwd=PROJECT, stdin=subprocess.DEVNULL, check=False, timeout=240
    )
    assert done.returncode == 0, f"prefect {' '.join(arguments)} ended with {done.returncode}"


def _project() -> None:
    PROJECT.mkdir(exist_ok=True)
    (PROJECT / "greeting.py").write_text(GREETING, encoding="utf-8")
    (PROJECT / "prefect.yaml").write_text(YAML, encoding="utf-8")


def _pool() -> None:
    """A pool that the worker makes by its template."""
    try:
        client().read_work_pool(POOL)
    except ObjectNotFound:
        _prefect("work-pool", "create", POOL, "--type", "process")


def worked() -> Any:
    """A flow is deployed to a pool, and a worker runs what is asked for."""
    _project()
    _pool()
    loaded = flow.from_source(source=str(PROJECT), entrypoint="greeting.py:greet")
    loaded.deploy(
        name="deployed", work_pool_name=POOL, tags=["deployed"], parameters={"times": 2}, build=False,
        print_next_steps=False, job_variables={"env": {"X": "y"}},
    )  # fmt: skip
    run = run_deployment("conformance-greeting/deployed", parameters={"name": "Ann"}, timeout=0)
    _prefect("worker", "start", "--pool", POOL, "--type", "process", "--run-once", "--name", "conformance-worker")
    shown = [_deployment("conformance-greeting/deployed"), _ended(run.id)]
    assert shown[-1]["states"][-1][0] == "COMPLETED", shown[-1]
    return shown


def deployed_by_file() -> Any:
    """`prefect deploy --all` with schedules of each kind, a limit, and once more over what it has made."""
    _project()
    _pool()
    names = ("conformance-greeting/scheduled", "conformance-greeting/limited")
    _prefect("--no-prompt", "deploy", "--all")
    first = [_deployment(name) for name in names]
    _prefect("--no-prompt", "deploy", "--all")
    second = [_deployment(name) for name in names]
    assert [one["slug"] for one in first[0]["schedules"]] != [None, None, None]
    return [first, second]


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        served_flow.serve(name="served", interval=86400, tags=["served"], parameters={"x": 2}, pause_on_shutdown=True)
    else:
        main(served, worked, deployed_by_file)
