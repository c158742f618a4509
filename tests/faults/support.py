"""A client that reports task runs over `/events/in` and knows what was acknowledged, and a look at the database."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.typing import Subprotocol

from prefect_kernel.ids import uuid4

STATES = ("PENDING", "RUNNING", "COMPLETED")


def reports(flow_runs: Sequence[str], number: int) -> list[dict[str, Any]]:
    """So many events of task runs, each of which goes through all states; many runs are under way at any time."""
    began, width, out = datetime.now(UTC), 50, []
    while len(out) < number:
        runs = [(uuid4(), flow_runs[i % len(flow_runs)], len(out) + i) for i in range(width)]
        for state in STATES:
            out += [_report(began + timedelta(microseconds=len(out) + i), state, *run) for i, run in enumerate(runs)]
    return out[:number]


def _report(occurred: datetime, state: str, run: str, flow_run: str, key: int) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "occurred": occurred.isoformat(),
        "event": f"prefect.task-run.{state.title()}",
        "resource": {
            "prefect.resource.id": f"prefect.task-run.{run}",
            "prefect.resource.name": f"hello-{key}",
            "prefect.orchestration": "client",
        },
        "related": [
            {"prefect.resource.id": f"prefect.flow-run.{flow_run}", "prefect.resource.role": "flow-run"},
            {"prefect.resource.id": "prefect.tag.fault", "prefect.resource.role": "tag"},
        ],
        "payload": {
            "intended": {"from": None, "to": state},
            "initial_state": None,
            "validated_state": {"type": state, "name": state.title(), "state_details": {}},
            "task_run": {"name": f"hello-{key}", "task_key": "hello", "dynamic_key": str(key), "tags": ["fault"]},
        },
    }


class Reporter:
    """Sends events in order, pings in between, and goes on where it was not acknowledged."""

    def __init__(self, api_url: str, events: Sequence[dict[str, Any]], every: int) -> None:
        self._url = api_url.replace("http", "ws", 1) + "/events/in"
        self._frames = [json.dumps(event) for event in events]
        self._every = every
        self.sent = 0
        self.acknowledged = 0
        """How many events, from the first on, came before a ping that was answered."""
        self.progress = asyncio.Condition()

    async def send(self) -> bool:
        """Send what is not acknowledged; False when the connection broke before all of it was."""
        try:
            async with connect(self._url, subprotocols=[Subprotocol("prefect")], ping_interval=None) as socket:
                await socket.send('{"type": "auth", "token": null}')
                await socket.recv()
                await self._send_all(socket)
        except (ConnectionClosed, InvalidMessage, OSError):  # also in the middle of the handshake
            return False
        return True

    async def _send_all(self, socket: ClientConnection) -> None:
        pongs: list[asyncio.Task[None]] = []
        for at in range(self.acknowledged, len(self._frames), self._every):
            part = self._frames[at : at + self._every]
            for frame in part:
                await socket.send(frame)
            self.sent = max(self.sent, at + len(part))
            pongs.append(asyncio.create_task(self._note(await socket.ping(), at + len(part))))
        await asyncio.gather(*pongs)

    async def _note(self, pong: Any, number: int) -> None:
        await pong
        async with self.progress:
            self.acknowledged = max(self.acknowledged, number)
            self.progress.notify_all()


async def select(url: str, query: str) -> list[tuple[Any, ...]]:
    """Rows of the database, ids as text, read past the server."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.split("///", 1)[1])
        try:
            return connection.execute(query.replace("::text", "")).fetchall()
        finally:
            connection.close()
    postgres = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return [tuple(row) for row in await postgres.fetch(query)]
    finally:
        await postgres.close()
