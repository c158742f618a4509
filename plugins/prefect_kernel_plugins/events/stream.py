"""`/events/out`: the events that match a filter, first those of the last minutes, then those that come in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from prefect_kernel import web

from ..common.sockets import receive_filter, send_until_gone
from .filters import EventFilter, EventOrder
from .group import group
from .matching import includes
from .reads import EVENT_WIRE, page
from .received import Received

if TYPE_CHECKING:
    from prefect_kernel.app import Kernel

TOPIC = "events"
"""Messages are lists of events that were committed."""

BACKLOG = 256
"""Messages that may wait for a slow subscriber; then the oldest give way."""

REMEMBERED = 10_000
"""Ids of events that were published, so that one that is sent again is not published again."""


class Publisher:
    """Tells subscribers of this process of events that are committed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._enabled = kernel.settings.server.events.stream_out_enabled
        self._published: OrderedDict[str, None] = OrderedDict()

    async def publish(self, events: list[Received]) -> None:
        """Announce events, each once."""
        if events and self._kernel.events.stored is not None:
            self._kernel.events.stored()
        if not self._enabled:
            return
        published, new = self._published, []
        for event in events:
            if event.id not in published:
                published[event.id] = None
                new.append(event)
        while len(published) > REMEMBERED:
            published.popitem(last=False)
        if new:
            await self._kernel.broker.publish(TOPIC, new)


@group.websocket("/out", permission="read")
async def stream_events_out(socket: web.WebSocket) -> None:
    """Events as they come in, each as `{"type": "event", "event": …}`, for a filter that the client sends first."""
    if not await socket.handshake():
        return
    kernel = socket.kernel
    received = await receive_filter(socket, lambda message: EventFilter.model_validate(message.get("filter")))
    if received is None:
        return
    message, filter = received
    now = kernel.clock.now()
    filter.occurred.resolve(now)
    filter.occurred.since = max(filter.occurred.since, now - kernel.settings.server.events.maximum_websocket_backfill)
    filter.order = EventOrder.ASC
    await send_until_gone(socket, _send(socket, filter, bool(message.get("backfill", True))))


async def _send(socket: web.WebSocket, filter: EventFilter, backfill: bool) -> None:
    # Subscribed first: an event that comes in during the backfill must be in one of the two.
    async with socket.kernel.broker.subscribe(TOPIC, limit=BACKLOG) as live:
        sent: set[str] = set()
        if backfill:
            async for id, event in _stored(socket.kernel, filter):
                await socket.send(b'{"type":"event","event":%b}' % event)
                sent.add(id)
        async for events in live:
            for event in events:
                if event.id in sent:
                    sent.discard(event.id)
                elif includes(filter, event):
                    await socket.send(b'{"type":"event","event":%b}' % event.json())


async def _stored(kernel: Kernel, filter: EventFilter) -> AsyncIterator[tuple[str, bytes]]:
    """Id and JSON of the stored events that match, the oldest first."""
    storage, size, offset = kernel.storage, kernel.settings.server.events.websocket_backfill_page_size, 0
    id_at = [member.key for member in EVENT_WIRE.members].index("id")
    while True:
        rows: list[Any]
        rows, _ = await storage.read(page, filter, size, offset, 0)
        for row in rows:
            yield str(row[id_at]), EVENT_WIRE.one(storage.dialect, row)
        offset += size
        if len(rows) < size:
            return
