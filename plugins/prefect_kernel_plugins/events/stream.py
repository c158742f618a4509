"""`/events/out`: the events that match a filter, first those of the last minutes, then those that come in.

What a subscriber misses, since it is slow or another server process could not be heard, is looked up in the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from prefect_kernel import web
from prefect_kernel.ports.broker import Missed, Topic

from ..common.sockets import Remembered, looked_up, receive_filter, stored_since, stored_until
from .filters import EventFilter, EventOrder
from .group import group
from .matching import includes
from .reads import EVENT_WIRE, Span, following, page, place
from .received import Received, from_messages, to_messages

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

TOPIC = Topic("events", to_messages, from_messages)
"""Messages are lists of events that were committed."""

BACKLOG = 256
"""Messages that may wait for a slow subscriber."""

LATE = timedelta(minutes=15)
"""How long before it was stored an event that was missed may have occurred."""


class Publisher:
    """Tells subscribers of events that are committed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._enabled = kernel.settings.server.events.stream_out_enabled
        self._published = Remembered()

    async def publish(self, events: list[Received]) -> None:
        """Announce events, each once."""
        told = self._kernel.events
        if events and told.stored is not None:
            told.stored()
        if not self._enabled and told.handlers is None:
            return
        new = [event for event in events if self._published.add(event.id)]
        if new and told.handlers is not None:
            told.handlers(new)
        if new and self._enabled:
            await self._kernel.broker.publish(TOPIC, new)


@group.websocket("/out", permission="read")
async def stream_events_out(socket: web.WebSocket) -> None:
    """Events as they come in, each as `{"type": "event", "event": …}`, for a filter that the client sends first."""
    if not await socket.handshake():
        return
    kernel = socket.kernel
    received = await receive_filter(socket, lambda message: EventFilter.model_validate(message["filter"]))
    if received is None:
        return
    message, filter = received
    now = kernel.clock.now()
    filter.occurred.resolve(now)
    filter.occurred.since = max(filter.occurred.since, now - kernel.settings.server.events.maximum_websocket_backfill)
    filter.order = EventOrder.ASC
    await socket.until_gone(_send(socket, filter, bool(message.get("backfill", True))))


async def _send(socket: web.WebSocket, filter: EventFilter, backfill: bool) -> None:
    # Subscribed first: an event that comes in during the backfill must be in one of the two.
    kernel = socket.kernel
    async with kernel.broker.subscribe(TOPIC, limit=BACKLOG, gaps=True) as live:
        sent, began = Remembered(), kernel.clock.now()
        if backfill:
            async for id, event in _stored(kernel, filter, None):
                if sent.add(id):  # one that came late has moved the others to the next page
                    await socket.send(b'{"type":"event","event":%b}' % event)
        as_live = filter.model_copy(update={"related": None})  # which plays no part in what comes in
        async for events in live:
            if isinstance(events, Missed):
                since = stored_since(kernel, events, None if backfill else began)
                async for id, event in looked_up(partial(_stored, kernel, as_live, since)):
                    if sent.add(id):
                        await socket.send(b'{"type":"event","event":%b}' % event)
                continue
            for event in events:
                if includes(filter, event) and sent.add(event.id):
                    await socket.send(b'{"type":"event","event":%b}' % event.json())


async def _stored(kernel: Kernel, filter: EventFilter, since: datetime | None) -> AsyncIterator[tuple[str, bytes]]:
    """Id and JSON of the stored events that match, the oldest first; those that were stored since then, or all."""
    storage, size = kernel.storage, kernel.settings.server.events.websocket_backfill_page_size
    span = Span(since, stored_until(kernel), LATE)
    distinct = since is None and filter.distinct  # of such there are few, and no place among all tells the next
    offset, after = 0, None
    while True:
        rows: list[Any]
        if distinct:
            rows, _ = await storage.read(page, filter, size, offset, 0)
        else:
            rows = await storage.read(following, filter, span, after, size)
        for row in rows:
            after = place(row)
            yield after[1], EVENT_WIRE.one(storage.dialect, row)
        offset += size
        if len(rows) < size:
            return
