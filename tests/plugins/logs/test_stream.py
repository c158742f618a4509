"""`/logs/out` over real sockets, and filters on live lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from prefect_kernel.ids import uuid4
from prefect_kernel_plugins.logs.filters import LOG_FILTER
from prefect_kernel_plugins.logs.stream import includes
from tests.support.fixtures import ServerFactory

PATIENCE = 30.0
STREAMING = {
    "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
    "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",
}


@asynccontextmanager
async def subscriber(api_url: str, *first: Any) -> AsyncIterator[ClientConnection]:
    """A socket of `/logs/out` that has authenticated and sent its first frames."""
    url = api_url.replace("http", "ws", 1) + "/logs/out"
    async with asyncio.timeout(PATIENCE), connect(url, subprotocols=[Subprotocol("prefect")]) as socket:
        await socket.send('{"type": "auth", "token": null}')
        assert json.loads(await socket.recv()) == {"type": "auth_success"}
        for frame in first:
            await socket.send(frame if isinstance(frame, str) else json.dumps(frame))
        yield socket


def line(message: str, level: int = 20, **fields: Any) -> dict[str, Any]:
    """A line of now."""
    return {"name": "n", "level": level, "message": message, "timestamp": datetime.now(UTC).isoformat(), **fields}


@pytest.mark.asyncio
async def test_lines_come_in_as_they_are_stored(server: ServerFactory, database_url: str) -> None:
    """Those that match the filter, each with the id under which it is stored."""
    api = server(database_url, env=STREAMING).api_url
    wanted = {"type": "filter", "filter": {"level": {"ge_": 30}}}
    async with httpx.AsyncClient() as client, subscriber(api, wanted) as socket:
        receiving = asyncio.ensure_future(socket.recv())
        sent = 0
        while not receiving.done():  # nobody says when the subscription has begun
            sent += 1
            await client.post(f"{api}/logs/", json=[line("no"), line(f"yes {sent}", 40)])
            await asyncio.wait({receiving}, timeout=0.2)
        message = json.loads(receiving.result())
        assert message["type"] == "log"
        assert message["log"]["message"].startswith("yes")
        stored = (await client.post(f"{api}/logs/filter", json={"logs": {"level": {"ge_": 30}}})).json()
        assert message["log"]["id"] in [one["id"] for one in stored]


NO_FILTERS: list[tuple[Any, str]] = [
    ({"type": "other"}, "Expected 'filter' message"),
    ("x", "Expected 'filter' message"),
    ({"type": "filter", "filter": {"x": 1}}, "Invalid filter"),
    ({"type": "filter"}, "Invalid filter"),
]


@pytest.mark.asyncio
async def test_what_is_no_filter(server: ServerFactory, tmp_path: Path) -> None:
    """The socket is closed, with a reason."""
    api = server(f"sqlite+aiosqlite:///{tmp_path}/kernel.db").api_url
    for frame, reason in NO_FILTERS:
        async with subscriber(api, frame) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1002
        assert closed.value.rcvd.reason.startswith(reason)


def test_filters_on_live_lines() -> None:
    """Every part of a filter."""
    run, now = uuid4(), datetime.now(UTC)
    mine = {"level": 20, "timestamp": now, "flow_run_id": run, "task_run_id": None}
    later = (now + timedelta(seconds=1)).isoformat()
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"level": {"ge_": 20, "le_": 20}}, True),
        ({"level": {"ge_": 21}}, False),
        ({"level": {"le_": 19}}, False),
        ({"timestamp": {"before_": later}}, True),
        ({"timestamp": {"after_": later}}, False),
        ({"flow_run_id": {"any_": [run]}}, True),
        ({"flow_run_id": {"any_": [uuid4()]}}, False),
        ({"flow_run_id": {"any_": []}}, False),
        ({"task_run_id": {"is_null_": True}}, True),
        ({"task_run_id": {"is_null_": False}}, False),
        ({"task_run_id": {"any_": [run]}}, False),
    ]
    for given, expected in cases:
        assert includes(LOG_FILTER.model.model_validate(given), mine) is expected, given
