"""Clients of the streams, for tests with several servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from websockets.asyncio.client import connect

from tests.plugins.events.sockets import PREFECT


class Follower:
    """What came over a stream, in a task of its own."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.arrived = asyncio.Condition()

    @property
    def ids(self) -> list[str]:
        """The ids of what came."""
        return [one["id"] for one in self.found]

    async def until(self, ids: set[str], seconds: float = 15.0) -> None:
        """Return when these have come."""
        try:
            async with asyncio.timeout(seconds), self.arrived:
                await self.arrived.wait_for(lambda: ids <= set(self.ids))
        except TimeoutError:
            missing = ids - set(self.ids)
            raise AssertionError(f"{len(missing)} of {len(ids)} did not come within {seconds:g} s") from None


@asynccontextmanager
async def following(api_url: str, what: str, filter: dict[str, Any], **more: Any) -> AsyncIterator[Follower]:
    """Follow `events` or `logs`."""
    follower = Follower()
    url = api_url.replace("http", "ws", 1) + f"/{what}/out"
    async with connect(url, subprotocols=[PREFECT], ping_interval=None) as socket:
        await socket.send('{"type": "auth", "token": null}')
        assert json.loads(await socket.recv()) == {"type": "auth_success"}
        await socket.send(json.dumps({"type": "filter", "filter": filter, **more}))

        async def read() -> None:
            async for frame in socket:
                message = json.loads(frame)
                async with follower.arrived:
                    follower.found.append(message["event" if what == "events" else "log"])
                    follower.arrived.notify_all()

        task = asyncio.create_task(read())
        try:
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def events_named(*names: str) -> dict[str, Any]:
    """A filter of events, as Prefect's client sends it."""
    until = (datetime.now(UTC) + timedelta(days=365)).isoformat()
    return {"event": {"name": list(names)}, "occurred": {"until": until}}
