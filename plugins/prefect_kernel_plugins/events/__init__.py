"""Events: taken in from clients and from the server itself, stored, and found again.

Parts: `tables`. In: `routes`, `received` (validation), `sink` (batches from clients), `persister` (the outbox),
`storing` (statements). Out: `filters`, `conditions` (filters as SQL), `reads` (pages), `counting`, `stream` (live),
`matching` (filters without SQL), `handlers` (of plugins).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect_kernel import Service, hookimpl, web


@hookimpl
def kernel_routes(settings: Any) -> Iterable[web.Group]:
    from . import counting, reads, routes, stream  # noqa: F401 - they declare the routes
    from .group import group
    from .received import Limits
    from .storing import Queue

    events = settings.server.events
    Limits.name_length = events.maximum_event_name_length
    Limits.labels = events.maximum_labels_per_resource
    Limits.related = events.maximum_related_resources
    Limits.size_bytes = events.maximum_size_bytes
    Queue.wanted = settings.server.services.triggers.enabled
    return [group]


@hookimpl
def kernel_lifespans() -> Iterable[Any]:
    from .handlers import event_handlers
    from .persister import outbox_wanted
    from .sink import event_sink

    return [outbox_wanted, event_handlers, event_sink]


@hookimpl
def kernel_services(settings: Any) -> Iterable[type[Service]]:
    from .persister import EventPersister

    return [EventPersister]
