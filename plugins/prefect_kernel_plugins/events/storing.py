"""Storing events: the event, and one row per resource that it names; idempotent by the event's id."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from prefect_kernel.sql import Statement, Unit, by_dialect, in_list

from .received import Received
from .tables import event_resources, events

_EXISTING = Statement(sa.select(events.c.id).where(in_list(events.c.id, "ids")))

_EVENT_KEYS = [c.name for c in events.columns]
_RESOURCE_KEYS = [c.name for c in event_resources.columns]
_JSON_KEYS = {"resource", "related", "related_resource_ids", "payload"}

_INSERT_EVENT = Statement(
    by_dialect(
        sqlite=sqlite.insert(events)
        .values({name: sa.bindparam(name, type_=events.c[name].type) for name in _EVENT_KEYS})
        .on_conflict_do_nothing(index_elements=["id"]),
        postgresql="""
        INSERT INTO events (id, occurred, event, resource_id, resource, related_resource_ids, related, payload,
                            received, recorded, follows, created, updated)
        SELECT * FROM unnest(:id ::uuid[], :occurred ::timestamptz[], :event ::text[], :resource_id ::text[],
                             :resource ::jsonb[], :related_resource_ids ::jsonb[], :related ::jsonb[],
                             :payload ::jsonb[], :received ::timestamptz[], :recorded ::timestamptz[],
                             :follows ::uuid[], :created ::timestamptz[], :updated ::timestamptz[])
        ON CONFLICT (id) DO NOTHING""",
    )
)
"""On SQLite one row at a time (that is its fastest way), on PostgreSQL all rows in one statement."""

_INSERT_RESOURCE = Statement(
    by_dialect(
        sqlite=sqlite.insert(event_resources)
        .values({name: sa.bindparam(name, type_=event_resources.c[name].type) for name in _RESOURCE_KEYS})
        .on_conflict_do_nothing(index_elements=["id"]),
        postgresql="""
        INSERT INTO event_resources (id, occurred, resource_id, resource_role, resource, event_id, created, updated)
        SELECT * FROM unnest(:id ::uuid[], :occurred ::timestamptz[], :resource_id ::text[], :resource_role ::text[],
                             :resource ::json[], :event_id ::uuid[], :created ::timestamptz[], :updated ::timestamptz[])
        ON CONFLICT (id) DO NOTHING""",
    )
)


def _columns(rows: list[dict[str, Any]], keys: list[str]) -> dict[str, list[Any]]:
    """Rows as one list per column, JSON as text, for unnest."""
    return {
        key: [orjson.dumps(row[key]).decode() for row in rows] if key in _JSON_KEYS else [row[key] for row in rows]
        for key in keys
    }


def store(dialect: str, batch: list[Received], recorded: datetime) -> Unit[list[Received]]:
    """Insert the events that are not there yet; gives those."""
    existing = yield _EXISTING(ids=[event.id for event in batch])
    known = {row[0] for row in existing}
    new = []
    for event in batch:
        if event.id not in known:
            known.add(event.id)
            new.append(event)
    if not new:
        return new
    rows = [event.row(recorded) for event in new]
    resources = [row for event in new for row in event.resource_rows(recorded)]
    if dialect == "postgresql":
        yield _INSERT_EVENT.bind(_columns(rows, _EVENT_KEYS))
        yield _INSERT_RESOURCE.bind(_columns(resources, _RESOURCE_KEYS))
    else:
        yield _INSERT_EVENT.many(rows)
        yield _INSERT_RESOURCE.many(resources)
    return new


__all__ = ["store"]
