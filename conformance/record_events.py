"""Records what a client tells of its task runs, and what the reference makes of it.

Run by an interpreter that has Prefect 3.8.8: `REFERENCE_PYTHON conformance/record_events.py`. A flow is run against its
own server on a new SQLite database. Written are `conformance/data/events/frames.jsonl`, the events as the client sent
them, and `rows.json`, the rows that the reference's recorder and persister made of them; `tests/plugins/events` sends
the same frames to the kernel.
"""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "events"
JSON = {"resource", "related", "related_resource_ids", "payload", "empirical_policy", "task_inputs", "tags", "labels"}
JSON |= {"state_details", "data"}
OWN = {"created", "updated", "recorded", "received"}
"""When the server did it, which no two servers have in common."""


def main() -> None:
    """Write the files."""
    if len(sys.argv) > 1:
        run_flow(Path(sys.argv[1]))
        return
    DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        database = Path(directory) / "reference.db"
        frames = record(Path(directory), database)
        rows = read(database, frames)
    (DATA / "frames.jsonl").write_text("".join(f"{frame}\n" for frame in frames), encoding="utf-8")
    (DATA / "rows.json").write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print({table: len(found) for table, found in rows.items()})


def record(home: Path, database: Path) -> list[str]:
    """Run the flow against a server; gives what its client sent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | given
    server = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    with subprocess.Popen(server, env=environ, cwd=home, stdout=subprocess.DEVNULL) as running:
        try:
            url = f"http://127.0.0.1:{port}/api"
            wait_until(lambda: answers(f"{url}/health"))
            subprocess.run(
                [sys.executable, __file__, str(home / "frames.jsonl")],
                env=environ | {"PREFECT_API_URL": url},
                cwd=home,
                check=True,
            )
            frames = (home / "frames.jsonl").read_text(encoding="utf-8").splitlines()
            wait_until(lambda: recorded(database, frames))
        finally:
            running.terminate()
    return frames


def wait_until(ready: Any) -> None:
    """Return when it is so."""
    for _ in range(600):
        if ready():
            return
        time.sleep(0.1)
    raise TimeoutError


def answers(url: str) -> bool:
    """Whether the server is there."""
    try:
        with urllib.request.urlopen(url) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def recorded(database: Path, frames: list[str]) -> bool:
    """Whether all that was sent has been written."""
    connection = sqlite3.connect(database)
    try:
        ids = {row[0] for row in connection.execute("SELECT id FROM events")}
        states = {row[0] for row in connection.execute("SELECT id FROM task_run_state")}
    finally:
        connection.close()
    events = [json.loads(frame) for frame in frames]
    tasks = {event["id"] for event in events if event["event"].startswith("prefect.task-run")}
    return {event["id"] for event in events} <= ids and tasks <= states


def read(database: Path, frames: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The rows that came from the client's events, and the flow runs that they belong to."""
    connection = sqlite3.connect(database)

    def rows(table: str) -> list[dict[str, Any]]:
        found = connection.execute(f"SELECT * FROM {table}")
        named = [dict(zip((column[0] for column in found.description), row, strict=True)) for row in found]
        return [
            {k: json.loads(cell) if k in JSON and cell else cell for k, cell in row.items() if k not in OWN}
            for row in named
        ]

    ids = {json.loads(frame)["id"] for frame in frames}
    states = [row for row in rows("task_run_state") if row["id"] in ids]
    runs = {row["task_run_id"] for row in states}
    tables = {
        "flow": [{"id": row["id"], "name": row["name"]} for row in rows("flow")],
        "flow_run": [{k: row[k] for k in ("id", "name", "flow_id")} for row in rows("flow_run")],
        "events": [row for row in rows("events") if row["id"] in ids],
        "event_resources": [
            {k: v for k, v in row.items() if k != "id"} for row in rows("event_resources") if row["event_id"] in ids
        ],
        "task_run": [row for row in rows("task_run") if row["id"] in runs],
        "task_run_state": states,
    }
    connection.close()
    return tables


def run_flow(target: Path) -> None:
    """Run a flow with tasks of many kinds, noting each event that the client sends."""
    from prefect import flow, tags, task
    from prefect.cache_policies import INPUTS
    from prefect.events.clients import PrefectEventsClient

    send = PrefectEventsClient._emit

    async def noting(self: Any, event: Any) -> None:
        with target.open("a", encoding="utf-8") as file:
            file.write(event.model_dump_json() + "\n")
        await send(self, event)

    PrefectEventsClient._emit = noting
    attempts = []

    @task(tags=["x", "y"], task_run_name="add-{a}-{b}")
    def add(a: int, b: int) -> int:
        return a + b

    @task(retries=2, retry_delay_seconds=0.1, retry_jitter_factor=0.5)
    def flaky() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("not yet: é")
        return 1

    @task
    def fails() -> None:
        raise RuntimeError("bad")

    @task(timeout_seconds=0.2)
    def slow() -> None:
        time.sleep(3)

    @task(cache_policy=INPUTS, persist_result=True, version="v1")
    def cached(n: int) -> int:
        return n * 2

    @task
    def parent() -> int:
        return add(9, 9)

    @flow
    def child(x: int) -> int:
        return add(x, 1)

    @flow
    def main_flow() -> int:
        with tags("run-tag"):
            first = add.submit(1, 2)
            second = add.submit(first, 3)
        mapped = add.map([1, 2, 3], 4)
        flaky()
        fails(return_state=True)
        slow(return_state=True)
        cached(3)
        cached(3)
        parent()
        child(5)
        second.wait()
        for future in mapped:
            future.wait()
        return 1

    main_flow(return_state=True)
    add(100, 1)


if __name__ == "__main__":
    main()
