"""Routes by which events come in."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from pydantic import ValidationError

from prefect_kernel import web
from prefect_kernel.web.websocket import Disconnected

from .group import group
from .received import Event, Limits, Received, from_body, from_frame
from .sink import SINK, Refused, check_taken

log = logging.getLogger("prefect_kernel.events")

TURN = 200
"""Events of one socket that are read before other connections have their turn; some milliseconds."""


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
    check_taken(await committed)
    return web.no_content()


@group.websocket("/in", permission="run")
async def stream_events_in(socket: web.WebSocket) -> None:
    """Events, one per frame. A ping is answered once every event before it is committed."""
    if not await socket.handshake():
        return
    kernel = socket.kernel
    sink, clock = kernel.stash[SINK], kernel.clock
    tickets: deque[asyncio.Future[Refused]] = deque()
    while True:
        try:
            items = await socket.receive_many()
        except Disconnected:
            return
        now = clock.now()
        events: list[Received] = []
        refused = _Refused()
        for read, item in enumerate(items, 1):
            if read % TURN == 0:
                await asyncio.sleep(0)
            if isinstance(item, str | bytes):
                try:
                    event = from_frame(item, now)
                except ValidationError as error:
                    refused.invalid(error)
                    continue
                if event is None:
                    refused.large += 1
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
        refused.tell()
        if events:
            while tickets and tickets[0].done():
                tickets.popleft()
            tickets.append(await sink.put(events))


class _Refused:
    """What was refused of one read from a socket: told at once, so that a client cannot fill the log."""

    __slots__ = ("first", "large", "number")

    def __init__(self) -> None:
        self.number = self.large = 0
        self.first: ValidationError | None = None

    def invalid(self, error: ValidationError) -> None:
        """An event that is none."""
        self.number += 1
        self.first = self.first or error

    def tell(self) -> None:
        """Log it."""
        if self.number > 1:
            log.warning("%d invalid events were refused, the first: %s", self.number, self.first)
        elif self.first is not None:
            log.warning("an invalid event was refused: %s", self.first)
        if self.large:
            log.warning("%d events larger than %d bytes were refused", self.large, Limits.size_bytes)
