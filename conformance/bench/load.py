"""The client side: a light keep-alive connection, and the operations that are measured."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

RETRY = (429, 503)


class Refused(RuntimeError):
    """The server was too busy, again and again."""


class Connection:
    """One HTTP/1.1 connection; a client must cost much less than what it measures, so nothing is decoded unasked."""

    def __init__(self, port: int, *, patient: bool = False) -> None:
        """Who is `patient` also asks again after a 500 or a broken connection.

        That is how Python Prefect answers some of many who write to one SQLite database.
        """
        self.port, self.patient, self.failed = port, patient, 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, content: Any = None) -> bytes:
        """Send a request until its answer is 2xx.

        Raises RuntimeError for answers that repeating does not change, Refused when it is refused too often.
        """
        body = b"" if content is None else json.dumps(content, separators=(",", ":")).encode()
        head = f"{method} /api{path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-length: {len(body)}\r\n"
        request = f"{head}content-type: application/json\r\n\r\n".encode() + body
        for attempt in range(12):
            try:
                status, answer = await self._exchange(request)
            except (asyncio.IncompleteReadError, ConnectionError):
                if not self.patient:
                    raise
                self.close()
                status, answer = 503, b""
            if status < 300:
                return answer
            self.failed += 1
            if status not in RETRY and not (status == 500 and self.patient):
                raise RuntimeError(f"{method} {path}: {status} {answer[:200]!r}")
            await asyncio.sleep(min(1.0, 0.05 * 2**attempt))
        raise Refused(f"{method} {path}: refused too often")

    async def json(self, method: str, path: str, content: Any = None) -> Any:
        """As `call`, decoded."""
        answer = await self.call(method, path, content)
        return json.loads(answer) if answer else None

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**24)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status, length = int(head[9:12]), 0
        if (at := head.find(b"content-length:")) >= 0:
            length = int(head[at + 15 : head.index(b"\r\n", at)])
        body = await reader.readexactly(length) if length else b""
        if b"connection: close" in head:
            self.close()
        return status, body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


Operation = Callable[[Connection, str], Awaitable[Any]]


def read(method: str, path: str, content: Any = None) -> Operation:
    """An operation that is one request, always the same."""

    async def run(connection: Connection, _: str) -> Any:
        return await connection.call(method, path, content)

    return run


async def create(connection: Connection, flow: str) -> str:
    """Create a scheduled run."""
    body = {"flow_id": flow, "parameters": {"n": 1}, "tags": ["bench"], "state": {"type": "SCHEDULED"}}
    run: str = (await connection.json("POST", "/flow_runs/", body))["id"]
    return run


async def _move(connection: Connection, path: str, *states: str) -> None:
    for state in states:
        answer = await connection.call("POST", f"{path}/set_state", {"state": {"type": state}})
        if b'"ACCEPT"' not in answer:
            raise RuntimeError(f"not accepted: {answer[:200]!r}")


async def lifecycle(connection: Connection, flow: str) -> None:
    """Create a run and take it to its end: four requests."""
    run = await create(connection, flow)
    await _move(connection, f"/flow_runs/{run}", "PENDING", "RUNNING", "COMPLETED")


async def task_lifecycle(connection: Connection, flow: str) -> None:
    """Create a task run without a flow run and take it to its end: three requests."""
    body = {"task_key": "bench", "dynamic_key": uuid.uuid4().hex, "state": {"type": "PENDING"}}
    run = (await connection.json("POST", "/task_runs/", body))["id"]
    await _move(connection, f"/task_runs/{run}", "RUNNING", "COMPLETED")


async def logs(connection: Connection, flow: str) -> None:
    """A hundred log lines in one request."""
    now = datetime.now(UTC).isoformat()
    line = {"name": "prefect.flow_runs", "level": 20, "timestamp": now, "flow_run_id": str(uuid.uuid4())}
    await connection.call("POST", "/logs/", [{**line, "message": f"line {i} of the benchmark"} for i in range(100)])


def operations(flow: str, run: str) -> dict[str, Operation]:
    """Every operation by its name; reads come first, since writes make the database grow."""
    now = datetime.now(UTC)
    newest = {"limit": 200, "sort": "START_TIME_DESC"}
    failed = {"flow_runs": {"state": {"type": {"any_": ["FAILED", "CRASHED"]}}}}
    week = {
        "history_start": (now - timedelta(days=7)).isoformat(),
        "history_end": now.isoformat(),
        "history_interval_seconds": 6 * 3600,
    }
    return {
        "health": read("GET", "/health"),
        "get_flow": read("GET", f"/flows/{flow}"),
        "get_flow_run": read("GET", f"/flow_runs/{run}"),
        "filter_200": read("POST", "/flow_runs/filter", newest),
        "filter_state": read("POST", "/flow_runs/filter", newest | failed),
        "count": read("POST", "/flow_runs/count", {}),
        "paginate": read("POST", "/flow_runs/paginate", {"limit": 50, "page": 2, "sort": "START_TIME_DESC"}),
        "history_7d": read("POST", "/flow_runs/history", week),
        "create": create,
        "lifecycle": lifecycle,
        "task_lifecycle": task_lifecycle,
        "logs_100": logs,
    }


async def measure(port: int, operation: Operation, flow: str, clients: int, seconds: float) -> tuple[int, float, int]:
    """Run an operation from so many clients: (how often it was done, seconds taken, refusals)."""
    connections = [Connection(port, patient=True) for _ in range(clients)]
    began = time.perf_counter()
    done = 0

    async def client(connection: Connection) -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            try:
                await operation(connection, flow)
            except Refused:
                continue  # which shows in the number of refusals
            done += 1

    try:
        await asyncio.gather(*(client(connection) for connection in connections))
    finally:
        for connection in connections:
            connection.close()
    return done, time.perf_counter() - began, sum(connection.failed for connection in connections)
