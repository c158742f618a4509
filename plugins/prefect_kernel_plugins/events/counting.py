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
from prefect_kernel.sql import Statement, Unit, by_dialect, json_value
from prefect_kernel.sql.types import POSTGRESQL, SQLITE

from ..common.fields import Lenient
from .conditions import Conditions, Shape, about_names, event_names, where, where_counting
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
    counted = sa.select(_span_number(), sa.func.count()).select_from(events).group_by(sa.text("1"))
    return Statement(by_dialect(sqlite=counted.where(*where_counting(shape)), postgresql=counted.where(*where(shape))))


_first = sa.type_coerce(sa.func.min(events.c.occurred), events.c.occurred.type).label("first")
_last = sa.type_coerce(sa.func.max(events.c.occurred), events.c.occurred.type).label("last")
_count_of = sa.func.count().label("count")


def _by_each_name(shape: Shape) -> sa.Select[Any]:
    """Events by name, where only time and name are asked for: for one name after the other counted in an index."""
    names = event_names(shape)

    def of_name(value: sa.ColumnElement[Any]) -> Any:
        return sa.select(value).where(events.c.event == names.c.event, *where(())).scalar_subquery()

    counted = sa.select(
        names.c.event,
        of_name(sa.func.count()).label("count"),
        sa.type_coerce(of_name(sa.func.min(events.c.occurred)), events.c.occurred.type).label("first"),
        sa.type_coerce(of_name(sa.func.max(events.c.occurred)), events.c.occurred.type).label("last"),
    ).subquery("counted")
    return (
        sa.select(counted.c.event, counted.c.event, counted.c.count, counted.c.first, counted.c.last)
        .where(counted.c.count > sa.literal_column("0"))
        .order_by(counted.c.count.desc(), counted.c.event)
    )


def _grouped_by_name(conditions: list[Any]) -> sa.Select[Any]:
    name = events.c.event
    grouped = sa.select(name, name.label("label"), _count_of, _first, _last).where(*conditions)
    return grouped.group_by(name).order_by(_count_of.desc(), name)


@lru_cache(128)
def by_name(shape: Shape) -> Statement:
    """Events by name."""
    named = all(map(about_names, shape))
    return Statement(
        by_dialect(
            sqlite=_by_each_name(shape) if named else _grouped_by_name(where_counting(shape)),
            postgresql=_grouped_by_name(where(shape)),
        )
    )


_label = sa.func.coalesce(
    json_value(events.c.resource, "prefect.resource.name"),
    json_value(events.c.resource, "prefect.name"),
    events.c.resource_id,
)


def _by_resource_in_sqlite(shape: Shape) -> sa.Select[Any]:
    """Nothing is sorted but what comes out, and only the events that give a resource its name are parsed.

    Times are 26 characters, so the greatest of them with a row's number behind it says which row is the latest.
    """
    found = (
        sa.select(
            events.c.resource_id.label("value"),
            _count_of,
            _first,
            _last,
            sa.literal_column("max(events.occurred || events.rowid)").label("latest"),
        )
        .where(*where(shape))
        .group_by(events.c.resource_id)
        .subquery("found")
    )
    its = sa.literal_column("events.rowid") == sa.literal_column("CAST(substr(found.latest, 27) AS INTEGER)")
    name = sa.select(_label).where(its).correlate(found).scalar_subquery().label("name")
    return sa.select(found.c.value, name, found.c.count, found.c.first, found.c.last).order_by(
        found.c.count.desc(), name, found.c.value
    )


def _by_resource_in_postgresql(shape: Shape) -> sa.Select[Any]:
    ranked = (
        sa.select(
            events.c.resource_id.label("value"),
            _label.label("label"),
            events.c.occurred.label("occurred"),
            sa.func.row_number()
            .over(partition_by=events.c.resource_id, order_by=events.c.occurred.desc())
            .label("age"),
        )
        .where(*where(shape))
        .subquery()
    )
    name = sa.func.max(sa.case((ranked.c.age == sa.literal_column("1"), ranked.c.label))).label("name")
    first = sa.type_coerce(sa.func.min(ranked.c.occurred), events.c.occurred.type)
    last = sa.type_coerce(sa.func.max(ranked.c.occurred), events.c.occurred.type)
    return (
        sa.select(ranked.c.value, name, _count_of, first, last)
        .group_by(ranked.c.value)
        .order_by(_count_of.desc(), name, ranked.c.value)
    )


@lru_cache(128)
def by_resource(shape: Shape) -> Statement:
    """Events by resource, which is called what its latest event calls it."""
    return Statement(by_dialect(sqlite=_by_resource_in_sqlite(shape), postgresql=_by_resource_in_postgresql(shape)))


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
        statement = (by_name if countable is Countable.event else by_resource)(conditions.shape)
        rows = await read(_rows, statement, conditions.params)
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
