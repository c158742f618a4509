"""Sixty-four clients that do things at the same moment, and what they look at in the database."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from prefect_kernel_conformance.databases import Database, connect

from tests.support.kernel import KernelServer

CLIENTS = 64


class Crowd:
    """Clients with a connection each, and rows put straight into the database of the server, or servers."""

    def __init__(self, servers: Sequence[KernelServer], database: Database) -> None:
        self.servers, self.database = servers, database
        self._single = httpx.Client(base_url=servers[0].api_url, timeout=60)

    # ------------------------------------------------------------ requests
    def rush(self, *requests: tuple[str, str, Any]) -> list[httpx.Response]:
        """Send the requests at the same time, each on an open connection; servers take turns in getting them."""
        return asyncio.run(self._rush(requests))

    async def _rush(self, requests: tuple[tuple[str, str, Any], ...]) -> list[httpx.Response]:
        async with self.client(len(requests)) as client:
            urls = [self.servers[number % len(self.servers)].api_url for number in range(len(requests))]
            await asyncio.gather(*(client.get(f"{url}/health") for url in urls))  # opens the connections
            sent = (
                client.request(method, url + path, json=body)
                for url, (method, path, body) in zip(urls, requests, strict=True)
            )
            return await asyncio.gather(*sent)

    def client(self, connections: int) -> httpx.AsyncClient:
        """A client with so many connections."""
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        return httpx.AsyncClient(base_url=self.servers[0].api_url, timeout=60, limits=limits)

    def together(self, count: int, work: Callable[[httpx.AsyncClient, int], Awaitable[None]]) -> None:
        """Let `count` clients do a longer piece of work at the same time."""

        async def run() -> None:
            async with self.client(count) as client:
                await asyncio.gather(*(work(client, number) for number in range(count)))

        asyncio.run(run())

    def post(self, path: str, body: Any) -> Any:
        """One request by itself; it must be answered well."""
        answer = self._single.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        """Read one thing; it must be there."""
        answer = self._single.get(path)
        answer.raise_for_status()
        return answer.json()

    def close(self) -> None:
        """Close the connection of single requests."""
        self._single.close()

    # ------------------------------------------------------------ things
    def flow(self) -> str:
        """The id of a new flow."""
        id: str = self.post("/flows/", {"name": f"flow-{uuid4()}"})["id"]
        return id

    def run(self, **body: Any) -> str:
        """The id of a new flow run."""
        id: str = self.post("/flow_runs/", {"flow_id": body.pop("flow_id", None) or self.flow(), **body})["id"]
        return id

    def limited_deployment(self, limit: int) -> tuple[str, str, str]:
        """The ids of a flow, a deployment of it, and the limit on its concurrent runs."""
        flow, deployment, limit_id = self.flow(), str(uuid4()), str(uuid4())
        now = datetime.now(UTC).isoformat()
        self.database.insert(
            "concurrency_limit_v2",
            {
                "id": limit_id,
                "created": now,
                "updated": now,
                "active": True,
                "name": f"deployment:{deployment}",
                "limit": limit,
                "active_slots": 0,
                "denied_slots": 0,
                "slot_decay_per_second": 0.0,
                "avg_slot_occupancy_seconds": 2.0,
            },
        )
        self.database.insert(
            "deployment",
            {
                "id": deployment,
                "created": now,
                "updated": now,
                "name": "limited",
                "flow_id": flow,
                "tags": [],
                "parameters": {},
                "infra_overrides": {},
                "paused": False,
                "enforce_parameter_schema": False,
                "status": "READY",
                "concurrency_limit_id": limit_id,
            },
        )
        return flow, deployment, limit_id

    def states(self, run_id: str, table: str = "flow_run_state") -> list[str]:
        """The names of the states that a run went through, oldest first."""
        column = table.removesuffix("_state") + "_id"
        return [row["name"] for row in self.database.select(table, {column: run_id}, "timestamp", ["name"])]

    def recorded_events(self, run_id: str) -> int:
        """How many events tell about a run, delivered or not. For it the servers are stopped, so none is under way."""
        for server in self.servers:
            server.stop()
        try:
            return self._recorded_events(run_id)
        finally:
            for server in self.servers:
                server.start()

    def _recorded_events(self, run_id: str) -> int:
        waiting = [json.loads(row["event"]) for row in self.database.select("kernel_event_outbox", {})]
        resource = f"prefect.flow-run.{run_id}"
        delivered = self.database.select("events", {"resource_id": resource}, None, ["id"])
        return len(delivered) + sum(event["resource"]["prefect.resource.id"] == resource for event in waiting)

    def active_slots(self, limit_id: str) -> int:
        """How many slots of a limit are taken."""
        slots: int = self.database.select("concurrency_limit_v2", {"id": limit_id})[0]["active_slots"]
        return slots


def verdicts(answers: list[httpx.Response]) -> Counter[str]:
    """How often each verdict was given; nothing but verdicts may have been answered."""
    assert Counter(answer.status_code for answer in answers if answer.status_code not in (200, 201)) == Counter()
    return Counter(answer.json()["status"] for answer in answers)


@contextmanager
def crowd_at(*servers: KernelServer) -> Iterator[Crowd]:
    """A crowd before servers of one database; in the end, they must not have failed at anything."""
    database = connect(servers[0].database_url)
    crowd = Crowd(servers, database)
    try:
        yield crowd
    finally:
        crowd.close()
        database.close()
    for server in servers:
        log = server.log()
        assert "Traceback" not in log, log
        assert "locked" not in log, log
