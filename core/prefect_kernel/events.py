"""Events that the server itself emits: an outbox, written in the transaction of what they tell about.

An event is durable with its cause, and only with it; the persister moves it from the outbox to the event tables after
the commit, and wakes up by `wake`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .sql import Call, Statement, Unit, metadata
from .sql.types import UUID, Timestamp
from .web.reply import dumps

if TYPE_CHECKING:
    from .app import Kernel

outbox = sa.Table(
    "kernel_event_outbox",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("id", UUID(), nullable=False),
    sa.Column("event", sa.Text(), nullable=False),
    sa.Column("created", Timestamp(), nullable=False),
)

_PUT = Statement(
    sa.insert(outbox).values(
        id=sa.bindparam("id", type_=UUID()),
        event=sa.bindparam("event", type_=sa.Text()),
        created=sa.bindparam("created", type_=Timestamp()),
    )
)


class Events:
    """Recording events, and telling who delivers them that there are some."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.wake: Callable[[], None] | None = None
        """Set by who drains the outbox; without anybody to drain it, nothing is put in."""
        self.stored: Callable[[], None] | None = None
        """Set by who looks at stored events; called after each commit that has stored some."""
        self.handlers: Callable[[list[Any]], None] | None = None
        """Set where plugins have handlers of events; called with the events of each commit that has stored some."""

    @property
    def wanted(self) -> bool:
        """Whether anybody takes events out of the outbox."""
        return self.wake is not None

    def call(self, event: dict[str, Any]) -> Call:
        """The write that records an event (keys as in Prefect's event schema; `id` and `occurred` are required)."""
        return _PUT(id=event["id"], event=dumps(event).decode(), created=event["occurred"])

    def calls(self, events: list[dict[str, Any]]) -> Call:
        """The same for several events, of which there must be one at least: one round trip to the database."""
        return _PUT.many(
            [{"id": one["id"], "event": dumps(one).decode(), "created": one["occurred"]} for one in events]
        )

    def put(self, *events: dict[str, Any]) -> Unit[None]:
        """Record events in the current transaction; `committed` must be called after it."""
        if self.wanted:
            for event in events:
                yield self.call(event)

    def committed(self) -> None:
        """Say that events were committed."""
        if self.wake is not None:
            self.wake()
