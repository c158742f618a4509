"""Clients that create, transition and log at the same time, and know what was acknowledged to them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from prefect_kernel.ids import uuid4

from .support import select

WAY = ("PENDING", "RUNNING", "COMPLETED")


@dataclass
class Crowd:
    """So many clients, each of which makes runs, takes them through their states and logs, until told to stop.

    Requests that get no answer, or 503, are not acknowledged: the client goes on with another run.
    """

    api_url: str
    flow_id: str
    clients: int = 6
    runs: set[str] = field(default_factory=set)
    """Runs whose creation was acknowledged."""
    states: dict[str, str] = field(default_factory=dict)
    """Acknowledged states, each with its run."""
    last: dict[str, str] = field(default_factory=dict)
    """The last acknowledged state of each run whose next one was not even sent."""
    logs: set[str] = field(default_factory=set)
    """Messages of acknowledged logs."""
    statuses: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    """Answers that are neither 2xx nor 503 with Retry-After."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: Any = field(default_factory=count)

    async def run(self) -> None:
        """Work until stopped."""
        await asyncio.gather(*(self._client() for _ in range(self.clients)))

    def stop(self) -> None:
        """Have all clients end after the request that they are at."""
        self._stop.set()

    @property
    def acknowledged(self) -> int:
        """How many writes were."""
        return len(self.runs) + len(self.states) + len(self.logs)

    async def _client(self) -> None:
        async with httpx.AsyncClient(base_url=self.api_url, timeout=30) as client:
            while not self._stop.is_set():
                try:
                    await self._one_run(client)
                except httpx.TransportError:  # the server is gone; what was sent may have been done or not
                    await asyncio.sleep(0.05)

    async def _send(self, client: httpx.AsyncClient, path: str, body: Any) -> Any:
        """The answer's JSON when the write was acknowledged, else None."""
        answer = await client.post(path, json=body)
        self.statuses[answer.status_code] += 1
        if answer.status_code < 300:
            return answer.json()
        if answer.status_code != 503 or "retry-after" not in answer.headers:
            self.unexpected.append(f"{path}: {answer.status_code} {dict(answer.headers)} {answer.text[:200]}")
        await asyncio.sleep(0.02)
        return None

    async def _one_run(self, client: httpx.AsyncClient) -> None:
        number = next(self._numbers)
        body = {"flow_id": self.flow_id, "idempotency_key": f"{number}-{uuid4()}", "state": {"type": "SCHEDULED"}}
        made = await self._send(client, "/flow_runs/", body)
        if made is None:
            return
        run = made["id"]
        self.runs.add(run)
        self._note(run, made["state_id"])
        for type_ in WAY:
            self.last.pop(run, None)
            answer = await self._send(client, f"/flow_runs/{run}/set_state", {"state": {"type": type_}})
            if answer is None:
                return
            if answer["status"] != "ACCEPT":
                self.unexpected.append(f"{type_}: {answer}")
            self._note(run, answer["state"]["id"])
            message = f"line {type_} of {run}"
            line = {"name": "fault", "level": 20, "message": message, "timestamp": "2026-01-01T00:00:00Z"}
            # Logs are answered with 201 and null.
            answer = await client.post("/logs/", json=[{**line, "flow_run_id": run}])
            self.statuses[answer.status_code] += 1
            if answer.status_code == 201:
                self.logs.add(message)

    def _note(self, run: str, state: str) -> None:
        self.states[state] = run
        self.last[run] = state


@asynccontextmanager
async def working(crowd: Crowd) -> AsyncIterator[None]:
    """The crowd works in the meantime."""
    task = asyncio.create_task(crowd.run())
    try:
        yield
    finally:
        crowd.stop()
        await asyncio.wait_for(task, 60)


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return when it holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what other processes do can only be looked at
            await asyncio.sleep(0.02)


async def make_flow(api_url: str) -> str:
    """A flow for the runs."""
    async with httpx.AsyncClient(base_url=api_url, timeout=30) as client:
        made: str = (await client.post("/flows/", json={"name": "fault"})).json()["id"]
    return made


async def assert_nothing_lost(url: str, crowd: Crowd) -> None:
    """Everything acknowledged is in the database, and nothing is half there."""
    runs = dict(await select(url, "SELECT id::text, state_id::text FROM flow_run"))
    assert not crowd.runs - runs.keys(), "runs are lost"
    states = await select(url, "SELECT id::text, flow_run_id::text, timestamp FROM flow_run_state")
    assert not crowd.states.keys() - {id for id, _, _ in states}, "states are lost"
    newest = {run: id for _, run, id in sorted((time, run, id) for id, run, time in states)}
    assert newest == runs, "a run is not in its newest state"
    assert {run: runs[run] for run in crowd.last} == crowd.last, "a run is not in the state that was acknowledged last"
    logs = {message for (message,) in await select(url, "SELECT message FROM log WHERE name = 'fault'")}
    assert not crowd.logs - logs, "logs are lost"
    # The event of a state is written with it: it waits in the outbox, or is, once, among the events. (In this
    # order: the server moves them in the meantime.)
    told = {id for (id,) in await select(url, "SELECT id::text FROM kernel_event_outbox")}
    stored = [id for (id,) in await select(url, "SELECT id::text FROM events")]
    assert len(stored) == len(set(stored))
    assert not crowd.states.keys() - told - set(stored), "events are lost"
