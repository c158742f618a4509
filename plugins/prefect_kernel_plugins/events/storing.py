"""Storing events: the event, and one row per resource that it names; idempotent by the event's id.

Rows are built in their stored form here, not by the column types: an event has fourteen values and its resources eight
each, and ingest is where the server handles most rows per second.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from prefect_kernel.ids import uuid7
from prefect_kernel.sql import Statement, Unit, by_dialect, in_list
from prefect_kernel.sql.types import POSTGRESQL, json_to_text, timestamp_to_text
from prefect_kernel.web.reply import dumps

from .received import Received
from .tables import event_resources, events

_EXISTING = Statement(sa.select(events.c.id).where(in_list(events.c.id, "ids")))


def _plain(table: sa.Table) -> Any:
    """An insert whose parameters are stored as they are."""
    return sa.insert(table).values({c.name: sa.bindparam(c.name, type_=sa.Text()) for c in table.columns})


_INSERT_EVENT = Statement(_plain(events))
_INSERT_RESOURCE = Statement(_plain(event_resources))

_INSERT_BATCH = Statement(
    by_dialect(
        sqlite="SELECT 'rows are inserted one by one, which is the fastest way there'",
        postgresql="""
        WITH inserted AS (
            INSERT INTO events (id, occurred, event, resource_id, resource, related_resource_ids, related, payload,
                                received, follows, recorded, created, updated)
            SELECT e.*, :now ::timestamptz, :now ::timestamptz, :now ::timestamptz
              FROM unnest(:id ::uuid[], :occurred ::timestamptz[], :event ::text[], :resource_id ::text[],
                          :resource ::jsonb[], :related_resource_ids ::jsonb[], :related ::jsonb[], :payload ::jsonb[],
                          :received ::timestamptz[], :follows ::uuid[]) AS e
            ON CONFLICT (id) DO NOTHING
            RETURNING id, occurred, event),
        queued AS (
            INSERT INTO kernel_trigger_event (event_id)
            SELECT id FROM inserted
             WHERE :queue AND event <> 'prefect.log.write' AND EXISTS (SELECT 1 FROM automation WHERE enabled))
        INSERT INTO event_resources (id, event_id, occurred, resource_id, resource_role, resource, created, updated)
        SELECT r.id, r.event_id, inserted.occurred, r.resource_id, r.resource_role, r.resource,
               :now ::timestamptz, :now ::timestamptz
          FROM unnest(:r_id ::uuid[], :r_event_id ::uuid[], :r_resource_id ::text[], :r_resource_role ::text[],
                      :r_resource ::json[]) AS r (id, event_id, resource_id, resource_role, resource)
          JOIN inserted ON inserted.id = r.event_id""",
    )
)
"""Events and the resources of those that were not there, in one round trip. Two servers may try the same event."""

_QUEUE = Statement(
    sa.text(
        "INSERT INTO kernel_trigger_event (event_id) SELECT value FROM json_each(:ids)"
        " WHERE EXISTS (SELECT 1 FROM automation WHERE enabled)"
    )
)
"""Keep events for the triggers of automations, on SQLite; what they may have missed is never asked for."""


class Queue:
    """Whether there is a service that looks at events for automations; set at boot from the settings."""

    wanted = True


def store(dialect: str, batch: list[Received], recorded: datetime) -> Unit[None]:
    """Insert the events that are not there yet."""
    by_id: dict[str, Received] = {}
    for event in batch:
        by_id.setdefault(event.id, event)
    if dialect == POSTGRESQL:
        yield _INSERT_BATCH.bind(_columns(list(by_id.values())) | {"now": recorded, "queue": Queue.wanted})
        return
    for (id,) in (yield _EXISTING(ids=list(by_id))):  # nobody adds one meanwhile: there is one writer
        del by_id[id]
    if by_id:
        now = timestamp_to_text(recorded)
        new = list(by_id.values())
        times = [timestamp_to_text(event.occurred) for event in new]
        yield _INSERT_EVENT.many([_row(event, time, now) for event, time in zip(new, times, strict=True)])
        yield _INSERT_RESOURCE.many(_resource_rows(new, times, now))
        if Queue.wanted:
            yield _QUEUE(ids=dumps([event.id for event in new if event.event != "prefect.log.write"]).decode())


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits
        return json_to_text(value)


def _row(event: Received, occurred: str, now: str) -> dict[str, Any]:
    """The row of table `events` on SQLite."""
    return {
        "id": event.id,
        "occurred": occurred,
        "event": event.event,
        "resource_id": event.resource["prefect.resource.id"],
        "resource": _json(event.resource),
        "related_resource_ids": _json([resource["prefect.resource.id"] for resource in event.related]),
        "related": _json(event.related),
        "payload": _json(event.payload),
        "received": timestamp_to_text(event.received),
        "follows": event.follows,
        "recorded": now,
        "created": now,
        "updated": now,
    }


def _resources(batch: list[Received]) -> Iterator[tuple[str, str, str, str]]:
    """Id, resource id, role and labels of each resource of each event; the primary one first, its role is empty."""
    made = uuid7()
    head, number = made[:24], int(made[24:], 16)  # ids of a batch follow one another
    for event in batch:
        role = ""
        for resource in (event.resource, *event.related):
            labels = dict(resource)
            resource_id, given = labels.pop("prefect.resource.id"), labels.pop("prefect.resource.role", "")
            number = number + 1 & 0xFFFFFFFFFFFF
            yield f"{head}{number:012x}", resource_id, role and given, _json(labels) if labels else "{}"
            role = "related"


def _resource_rows(batch: list[Received], times: list[str], now: str) -> list[dict[str, Any]]:
    """The rows of table `event_resources` on SQLite."""
    owners = [(event.id, time) for event, time in zip(batch, times, strict=True) for _ in range(1 + len(event.related))]
    return [
        {
            "occurred": occurred,
            "resource_id": resource_id,
            "resource_role": role,
            "resource": labels,
            "event_id": event_id,
            "id": id,
            "created": now,
            "updated": now,
        }
        for (event_id, occurred), (id, resource_id, role, labels) in zip(owners, _resources(batch), strict=True)
    ]


def _columns(batch: list[Received]) -> dict[str, list[Any]]:
    """The parameters of the batch insert on PostgreSQL: one list per column."""
    resources = list(_resources(batch))
    return {
        "id": [event.id for event in batch],
        "occurred": [event.occurred for event in batch],
        "event": [event.event for event in batch],
        "resource_id": [event.resource["prefect.resource.id"] for event in batch],
        "resource": [_json(event.resource) for event in batch],
        "related_resource_ids": [_json([r["prefect.resource.id"] for r in event.related]) for event in batch],
        "related": [_json(event.related) for event in batch],
        "payload": [_json(event.payload) for event in batch],
        "received": [event.received for event in batch],
        "follows": [event.follows for event in batch],
        "r_event_id": [event.id for event in batch for _ in range(1 + len(event.related))],
        "r_id": [resource[0] for resource in resources],
        "r_resource_id": [resource[1] for resource in resources],
        "r_resource_role": [resource[2] for resource in resources],
        "r_resource": [resource[3] for resource in resources],
    }


__all__ = ["store"]
