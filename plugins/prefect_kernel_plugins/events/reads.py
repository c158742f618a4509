"""Finding events: pages of what a filter matches, with the total."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prefect_kernel import errors, web
from prefect_kernel.sql import Statement, Unit, by_dialect
from prefect_kernel.sql.types import UUID, Timestamp, timestamp_from_text
from prefect_kernel.wire import Field as Member
from prefect_kernel.wire import Wire

from ..common.fields import Lenient
from .conditions import Conditions, Shape, where, where_counting
from .filters import PAGE_SIZE, EventFilter
from .group import group
from .tables import events

EVENT_WIRE = Wire(
    [
        Member("occurred", "time"),
        Member("event", "text"),
        Member("resource", "json"),
        Member("related", "json"),
        Member("payload", "json"),
        Member("id", "word"),
        Member("follows", "word"),
        Member("received", "time"),
    ]
)
"""A received event as clients see it."""

_COLUMNS = [events.c[member.key] for member in EVENT_WIRE.members]
_AT = {member.key: number for number, member in enumerate(EVENT_WIRE.members)}


@lru_cache(256)
def page_statement(shape: Shape, descending: bool, distinct: bool) -> Statement:
    """A page of events; of those at the same moment the order is by id, so that pages do not overlap."""
    source: Any = events
    conditions = where(shape)
    if distinct:
        rank = sa.func.row_number().over(partition_by=events.c.resource_id, order_by=_by_time(events.c, descending))
        source = sa.select(*_COLUMNS, rank.label("rank")).where(*conditions).subquery()
        conditions = [source.c.rank == sa.literal_column("1")]
    return Statement(
        sa.select(*(source.c[column.name] for column in _COLUMNS))
        .where(*conditions)
        .order_by(*_by_time(source.c, descending))
        .limit(sa.bindparam("limit", type_=sa.Integer()))
        .offset(sa.bindparam("offset", type_=sa.Integer())),
        raw=True,
    )


def _by_time(columns: Any, descending: bool) -> list[Any]:
    order = [columns.occurred, columns.id]
    return [column.desc() for column in order] if descending else order


@lru_cache(256)
def total_statement(shape: Shape, distinct: bool) -> Statement:
    """The number of events; with `distinct`, of the resources that they are about."""
    counted = sa.func.count(events.c.resource_id.distinct()) if distinct else sa.func.count()
    return Statement(
        by_dialect(
            sqlite=sa.select(counted).select_from(events).where(*where_counting(shape)),
            postgresql=sa.select(counted).select_from(events).where(*where(shape)),
        )
    )


def page(filter: EventFilter, limit: int, offset: int, total: int | None) -> Unit[tuple[list[Any], int]]:
    """The raw rows of a page, and the number of all events that match (`total`, when it is known)."""
    conditions = Conditions(filter)
    descending, wanted = filter.order.value == "DESC", filter.capped(limit)
    rows: list[Any] = []
    if wanted:
        statement = page_statement(conditions.shape, descending, filter.distinct)
        rows = yield statement.bind({**conditions.params, "limit": wanted, "offset": offset})
    if total is None:
        if offset == 0 and len(rows) < wanted:
            total = len(rows)
        else:
            counted = yield total_statement(conditions.shape, filter.distinct).bind(conditions.params)
            total = counted[0][0]
    return rows, total


Place = tuple[datetime, str]
"""When an event occurred, and its id: where it stands among the others."""


@dataclass(frozen=True)
class Span:
    """When events were stored: from when, or from the beginning; until when."""

    since: datetime | None
    until: datetime
    late: timedelta
    """How long before it was stored one that is looked for may have occurred, where there is a `since`."""


@lru_cache(256)
def _following_statement(shape: Shape, since: bool, after: bool) -> Statement:
    conditions = [*where(shape), events.c.recorded <= sa.bindparam("recorded_until", type_=Timestamp())]
    if since:
        conditions.append(events.c.recorded >= sa.bindparam("recorded_since", type_=Timestamp()))
    if after:
        conditions.append(
            sa.or_(
                events.c.occurred > sa.bindparam("after", type_=Timestamp()),
                events.c.id > sa.bindparam("after_id", type_=UUID()),
            )
        )
    limit = sa.bindparam("limit", type_=sa.Integer())
    found = sa.select(*_COLUMNS).where(*conditions).order_by(*_by_time(events.c, False)).limit(limit)
    return Statement(found, raw=True)


def following(filter: EventFilter, span: Span, after: Place | None, limit: int) -> Unit[list[Any]]:
    """The raw rows of the first that match of those stored in a span, or of the first after a place, the oldest first.

    A place, and not how many were read: others may come in before it meanwhile, and finding it takes no longer the more
    there are.
    """
    conditions = Conditions(filter)
    params = {**conditions.params, "recorded_until": span.until, "limit": limit}
    if span.since is not None:
        params |= {"recorded_since": span.since, "since": max(filter.occurred.since, span.since - span.late)}
    if after is not None:
        params |= {"since": after[0], "after": after[0], "after_id": after[1]}
    rows: list[Any] = yield _following_statement(conditions.shape, span.since is not None, after is not None).bind(
        params
    )
    return rows


def place(row: Any) -> Place:
    """The place of a raw row."""
    occurred = row[_AT["occurred"]]
    return (timestamp_from_text(occurred) if isinstance(occurred, str) else occurred), str(row[_AT["id"]])


class EventQuery(Lenient):
    """Body of POST /events/filter."""

    filter: EventFilter | None = None
    limit: int = Field(default=PAGE_SIZE, ge=0, le=PAGE_SIZE)


class PageQuery(BaseModel):
    """Query of GET /events/filter/next."""

    model_config = ConfigDict(populate_by_name=False)

    token: str = Field(alias="page-token")


class _Position(BaseModel):
    """What a page token holds."""

    filter: EventFilter
    count: int
    page_size: int = Field(ge=0, le=PAGE_SIZE)
    offset: int = Field(ge=0)


def to_token(filter: EventFilter, count: int, page_size: int, offset: int) -> str | None:
    """The token of the page after the one at `offset`; None when that is the last one."""
    if offset + page_size >= count:
        return None
    position = {
        "filter": filter.model_dump(mode="json"),
        "count": count,
        "page_size": page_size,
        "offset": offset + page_size,
    }
    inner = base64.b64encode(json.dumps(position).encode())
    return base64.b64encode(inner).decode()  # twice, as the reference does


def from_token(token: str) -> _Position:
    """What a page token says. Raises Forbidden for anything that is not one."""
    try:
        return _Position.model_validate_json(base64.b64decode(base64.b64decode(token.encode())))
    except (ValueError, ValidationError):
        raise errors.Forbidden("Forbidden") from None


@group.post("/filter", body=EventQuery, embed=True, permission="read", response="EventPage")
async def read_events(request: web.Request, body: EventQuery) -> web.Reply:
    """The first page of the events that match a filter, the newest first unless `order` says otherwise."""
    filter = body.filter or EventFilter()
    filter.occurred.resolve(request.kernel.clock.now())
    return await _answer(request, filter, body.limit, 0, None)


@group.get("/filter/next", permission="read", query=PageQuery, response="EventPage")
async def read_events_page(request: web.Request) -> web.Reply:
    """The page that a `next_page` link stands for."""
    position = from_token(request.query.token)
    position.filter.occurred.resolve(request.kernel.clock.now())
    return await _answer(request, position.filter, position.page_size, position.offset, position.count)


async def _answer(request: web.Request, filter: EventFilter, limit: int, offset: int, total: int | None) -> web.Reply:
    storage = request.kernel.storage
    rows, number = await storage.read(page, filter, limit, offset, total)
    token = to_token(filter, number, limit, offset)
    link = None if token is None else f"{_api(request)}/events/filter/next?page-token={token}"
    found = EVENT_WIRE.many(storage.dialect, rows)
    return web.raw(b'{"events":%b,"total":%d,"next_page":%b}' % (found, number, web.dumps(link)))


def _api(request: web.Request) -> str:
    return request.base_url.rstrip("/") + request.kernel.api
