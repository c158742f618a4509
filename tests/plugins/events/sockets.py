"""A client of `/events/in`, as Prefect's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from prefect_kernel.ids import uuid4

PREFECT = Subprotocol("prefect")
PATIENCE = 30.0


def events_url(api_url: str) -> str:
    """The socket's URL for the API's."""
    return api_url.replace("http", "ws", 1) + "/events/in"


@asynccontextmanager
async def events_socket(api_url: str, token: str | None = None) -> AsyncIterator[ClientConnection]:
    """A socket after its opening handshake and authentication."""
    async with connect(events_url(api_url), subprotocols=[PREFECT], ping_interval=None) as socket:
        await socket.send(json.dumps({"type": "auth", "token": token}))
        assert json.loads(await socket.recv()) == {"type": "auth_success"}
        yield socket


async def checkpoint(socket: ClientConnection) -> None:
    """Ping, and return when the pong has come."""
    await (await socket.ping())


def an_event(name: str, **fields: Any) -> dict[str, Any]:
    """An event that happens now."""
    occurred = datetime.now(UTC).isoformat()
    resource = {"prefect.resource.id": "test.thing.1"}
    return {"id": uuid4(), "occurred": occurred, "event": name, "resource": resource, **fields}


async def send_all(socket: ClientConnection, events: Iterable[dict[str, Any] | str]) -> None:
    """Send events, one per frame."""
    for event in events:
        await socket.send(event if isinstance(event, str) else json.dumps(event))
