"""Counting events: by day or other spans of time, by name, by resource."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.compiler import compiles

from prefect_kernel import errors, web
from prefect_kernel.sql import Statement, Unit, json_value
from prefect_kernel.sql.types import POSTGRESQL, SQLITE

from ..common.fields import Lenient
from .conditions import Conditions, Shape, where
from .filters import EventFilter
from .group import group
from .tables import events

PIVOT = datetime(2024, 4, 1, tzinfo=UTC)
"""Where spans begin: a Monday before the first event there ever was."""

MAX_SPANS = 1000


class TimeUnit(str, Enum):
    """Units of spans."""

    week = "week"
    day = "day"
    hour = "hour"
    minute = "minute"
    second = "second"

    @property
    def length(self) -> timedelta:
        """How long one is."""
        return timedelta(**{f"{self.value}s": 1})

    def end(self, moment: datetime) -> datetime:
        """The last microsecond of the unit that a moment is in."""
        if self is TimeUnit.week:
            start = moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=moment.weekday())
        else:
            start = moment.replace(microsecond=0)
            for unit, fields in _SMALLER.items():
                if unit is self:
                    break
                start = start.replace(**fields)
        return start + self.length - timedelta(microseconds=1)


_SMALLER: dict[TimeUnit, dict[str, Any]] = {
    TimeUnit.second: {"second": 0},
    TimeUnit.minute: {"minute": 0},
    TimeUnit.hour: {"hour": 0},
}


class Countable(str, Enum):
    """What can be counted by."""

    day = "day"  # an older name for `time`
    time = "time"
    event = "event"
    resource = "resource"


class EventCountQuery(Lenient):
    """Body of POST /events/count-by/{countable}."""

    filter: EventFilter
    time_unit: TimeUnit = TimeUnit.day
    time_interval: float = Field(default=1.0, ge=0.01)


_COUNTABLE = web.PathReader("countable", Countable)


# ---------------------------------------------------------------- spans of time
def check_spans(since: datetime, until: datetime, span: timedelta) -> None:
    """Refuse to make too many spans, whatever is counted by. Raises Unprocessable."""
    number = math.ceil((until - since) / span)
    if number > MAX_SPANS:
        raise errors.Unprocessable(
            f"The given interval would create {number} buckets, which is too many. Please increase the interval or"
            f" reduce the time range to produce {MAX_SPANS} buckets or fewer."
        )


def first_span(since: datetime, span: timedelta) -> int:
    """The number, from the pivot on, of the span that a moment is in."""
    return math.floor((since - PIVOT) / span)


def spans(since: datetime, until: datetime, span: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Start and end of each span from `since` to `until`."""
    start = PIVOT + span * first_span(since, span)
    while start < until:
        yield start, start + span - timedelta(microseconds=1)
        start += span


class _span_number(sa.sql.expression.ColumnElement[int]):  # noqa: N801 - reads as a function
    """The number of the span in which an event occurred; the parameter `span` is its length in seconds."""

    inherit_cache = False
    type = sa.Integer()

    def __init__(self) -> None:
        self.column, self.span = events.c.occurred, sa.bindparam("span", type_=sa.Float())


@compiles(_span_number, SQLITE)
def _span_number_sqlite(element: _span_number, compiler: Any, **kw: Any) -> str:
    column, span = compiler.process(element.column, **kw), compiler.process(element.span, **kw)
    seconds = f"CAST(strftime('%s', {column}) AS INTEGER) - {int(PIVOT.timestamp())}"
    return f"CAST(floor(({seconds} + CAST(substr({column}, 20) AS REAL)) / {span}) AS INTEGER)"


@compiles(_span_number, POSTGRESQL)
def _span_number_postgresql(element: _span_number, compiler: Any, **kw: Any) -> str:
    column, span = compiler.process(element.column, **kw), compiler.process(element.span, **kw)
    seconds = f"(extract(epoch FROM {column}) - {int(PIVOT.timestamp())})"
    return f"CAST(floor({seconds} / CAST({span} AS double precision)) AS bigint)"


# ---------------------------------------------------------------- statements
@lru_cache(128)
def _by_time(shape: Shape) -> Statement:
    number = _span_number()
    return Statement(sa.select(number, sa.func.count()).select_from(events).where(*where(shape)).group_by(sa.text("1")))


@lru_cache(128)
def _by_label(shape: Shape, countable: Countable) -> Statement:
    """Events by name or by resource; a resource is called what its latest event calls it."""
    value: Any = events.c.event
    label: Any = value
    if countable is Countable.resource:
        value = events.c.resource_id
        label = sa.func.coalesce(
            json_value(events.c.resource, "prefect.resource.name"),
            json_value(events.c.resource, "prefect.name"),
            value,
        )
    ranked = (
        sa.select(
            value.label("value"),
            label.label("label"),
            events.c.occurred.label("occurred"),
            sa.func.row_number().over(partition_by=value, order_by=events.c.occurred.desc()).label("age"),
        )
        .where(*where(shape))
        .subquery()
    )
    name = sa.func.max(sa.case((ranked.c.age == sa.literal_column("1"), ranked.c.label))).label("name")
    count = sa.func.count().label("count")
    first = sa.type_coerce(sa.func.min(ranked.c.occurred), events.c.occurred.type)
    last = sa.type_coerce(sa.func.max(ranked.c.occurred), events.c.occurred.type)
    return Statement(
        sa.select(ranked.c.value, name, count, first, last)
        .group_by(ranked.c.value)
        .order_by(count.desc(), name, ranked.c.value)
    )


def _rows(statement: Statement, params: dict[str, Any]) -> Unit[list[Any]]:
    rows: list[Any] = yield statement.bind(params)
    return rows


def _count(value: Any, label: str, count: int, start: datetime, end: datetime) -> dict[str, Any]:
    return {"value": str(value), "label": label, "count": count, "start_time": start, "end_time": end}


@group.post(
    "/count-by/{countable}",
    body=EventCountQuery,
    embed=True,
    permission="read",
    response="EventCount[]",
    path_parameter=_COUNTABLE,
)
async def count_events(request: web.Request, body: EventCountQuery) -> web.Reply:
    """How many events match a filter: by name or resource the most frequent first, by time every span in order."""
    countable = _COUNTABLE(request.path, request.content)
    try:
        return web.json(await _counted(request, countable, body))
    except OverflowError:  # no calendar holds it
        raise errors.Unprocessable("The given interval is too long, or the time range begins too early.") from None


async def _counted(request: web.Request, countable: Countable, body: EventCountQuery) -> list[dict[str, Any]]:
    now = request.kernel.clock.now()
    body.filter.occurred.resolve(now)
    since, until = body.filter.occurred.since, body.filter.occurred.until
    span = body.time_unit.length * body.time_interval
    check_spans(since, until, span)
    conditions = Conditions(body.filter)
    read = request.kernel.storage.read
    if countable in (Countable.event, Countable.resource):
        rows = await read(_rows, _by_label(conditions.shape, countable), conditions.params)
        return [_count(*row) for row in rows]
    rows = await read(_rows, _by_time(conditions.shape), {**conditions.params, "span": span.total_seconds()})
    found = dict(map(tuple, rows))
    if until > now:
        until = body.time_unit.end(now)
    number = first_span(since, span)
    return [
        _count(i, start.isoformat(), found.get(number + i, 0), start, end)
        for i, (start, end) in enumerate(spans(since, until, span))
    ]
