"""Routes by which events come in."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from pydantic import ValidationError

from prefect_kernel import web
from prefect_kernel.web.websocket import Disconnected

from .group import group
from .received import Event, Limits, Received, from_body, from_frame
from .sink import SINK

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("prefect_kernel.events")


@group.post("", permission="run", body=list[Event], status=204)
async def create_events(request: web.Request, body: list[Event]) -> web.Reply:
    """Store events; they are committed when the answer comes."""
    kernel = request.kernel
    events = from_body(body, request.content, kernel.clock.now())
    if len(events) < len(body):
        log.warning("%d events larger than %d bytes were refused", len(body) - len(events), Limits.size_bytes)
    sink = kernel.stash[SINK]
    committed = await sink.put(events)
    sink.hurry()
    await committed
    return web.no_content()


@group.websocket("/in", permission="run")
async def stream_events_in(socket: web.WebSocket) -> None:
    """Events, one per frame. A ping is answered once every event before it is committed."""
    if not await socket.handshake():
        return
    kernel = socket.kernel
    sink, clock = kernel.stash[SINK], kernel.clock
    tickets: deque[asyncio.Future[None]] = deque()
    while True:
        try:
            items = await socket.receive_many()
        except Disconnected:
            return
        now = clock.now()
        events: list[Received] = []
        for item in items:
            if isinstance(item, str | bytes):
                try:
                    event = from_frame(item, now)
                except ValidationError as error:
                    log.warning("an invalid event was refused: %s", error)
                    continue
                if event is None:
                    log.warning("an event larger than %d bytes was refused", Limits.size_bytes)
                else:
                    events.append(event)
                continue
            if events:
                tickets.append(await sink.put(events))
                events = []
            sink.hurry()
            while tickets:
                await tickets.popleft()
            await socket.pong(item.payload)
        if events:
            while tickets and tickets[0].done():
                tickets.popleft()
            tickets.append(await sink.put(events))
